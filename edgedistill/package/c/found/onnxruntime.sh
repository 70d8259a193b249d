pip download onnxruntime --no-deps --only-binary=:all: -d runtime
python3 -m zipfile -e runtime/onnxruntime-*.whl runtime
cmake -B build -S . -DONNXRUNTIME_ROOT="$PWD/runtime/onnxruntime"
cmake --build build && ctest --test-dir build --output-on-failure
