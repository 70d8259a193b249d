"""microWakeWord's side of `benchmarks.wake_words`: run by the Python that has `pymicro-wakeword`.

Its own front end, model and mean over the last answers; for each 10 ms of a file of raw int16
samples at 16 kHz it writes the smoothed probability, 0 while it gathers what it needs.

    python benchmarks/microwakeword_side.py MODEL SAMPLES.raw PROBABILITIES.npy

Prints its threshold, the size of its file and its version as JSON.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path

import numpy as np
from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

CHUNK = 320
"""Bytes of 10 ms."""


def main() -> None:
    name, source, out = sys.argv[1:]
    word = MicroWakeWord.from_builtin(Model(name))
    features = MicroWakeWordFeatures()
    samples = Path(source).read_bytes()
    found, last = [], 0.0
    for at in range(0, len(samples) - CHUNK + 1, CHUNK):
        for each in features.process_streaming(samples[at : at + CHUNK]):
            gathered = len(word._features) + 1 >= word.stride
            answer = word.process_streaming_prob(each) or 0.0
            last = answer if gathered else last
        found.append(last)
    np.save(out, np.array(found, np.float32))
    described = {
        "threshold": word.probability_cutoff,
        "size_kb": Path(word.tflite_model).stat().st_size / 1000,
        "version": importlib.metadata.version("pymicro-wakeword"),
        "smoothing": word.sliding_window_size,
        "stride": word.stride,
    }
    print(json.dumps(described))


if __name__ == "__main__":
    main()
