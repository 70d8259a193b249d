"""A .tflite file in the `tflite-runtime` of this environment, which has no edgedistill.

    python old_runtime_side.py MODEL INPUTS.npy OUTPUTS.npy

prints the median time of an inference, ms, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import metadata

import numpy as np
from tflite_runtime.interpreter import Interpreter


def main() -> None:
    model, inputs, outputs = sys.argv[1:]
    interpreter = Interpreter(model, num_threads=1)
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    found, times = [], []
    for sample in np.load(inputs):
        begun = time.perf_counter()
        interpreter.set_tensor(taken["index"], sample[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(given["index"])[0])
        times.append(time.perf_counter() - begun)
    np.save(outputs, np.stack(found))
    print(json.dumps({"p50_ms": 1e3 * float(np.median(times)),
                      "version": metadata.version("tflite-runtime")}))  # fmt: skip


if __name__ == "__main__":
    main()
