pip download ai-edge-litert --no-deps --only-binary=:all: -d runtime
python3 -m zipfile -e runtime/ai_edge_litert-*.whl runtime
cmake -B build -S . -DLITERT_LIBRARY="$PWD/runtime/ai_edge_litert/libLiteRt.so"
cmake --build build && ctest --test-dir build --output-on-failure
