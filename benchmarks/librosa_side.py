"""librosa's log-mel of sounds, for `front_end.py`; run in an environment that has it.

python benchmarks/librosa_side.py SOUNDS.npy FOUND.npz '{"sr": 16000, ...}' FLOOR
"""

from __future__ import annotations

import json
import sys

import librosa
import numpy as np

given, wanted, options, floor = sys.argv[1:]
sounds = np.load(given)


def log_mel(samples: np.ndarray) -> np.ndarray:
    """(sounds, frames, bands) of (sounds, samples), in the precision of the samples."""
    settings = json.loads(options)
    power = librosa.feature.melspectrogram(y=samples, dtype=samples.dtype, **settings)
    return np.log(power + samples.dtype.type(float(floor))).swapaxes(1, 2)


np.savez(wanted, version=librosa.__version__, single=log_mel(sounds.astype(np.float32)),
         double=log_mel(sounds.astype(np.float64)))  # fmt: skip
