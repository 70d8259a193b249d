"""Sound to what a model takes."""

from __future__ import annotations

import os
import wave
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
Reals = NDArray[np.float32]
_FRAME_MS, _LOUD_DB, _ABOVE_DB, _QUIET_SHARE = 10, 30.0, 6.0, 0.2
_MOST_SHARE, _AFTER_MS = 0.9, 250


def as_real(samples: Any) -> Reals:
    """Samples (any number,) as float32 in -1..1: int16 are divided by 32768, floats kept within.

    Raises ValueError: another shape or type, or what is no number.
    """
    samples = np.asarray(samples)
    if samples.ndim != 1:
        raise ValueError(f"sound of shape {samples.shape}; one channel, (samples,), is meant")
    if samples.dtype == np.int16:
        real: Reals = np.multiply(samples, np.float32(1 / 32768), dtype=np.float32)
        return real
    if samples.dtype.kind != "f":
        raise ValueError(f"sound as {samples.dtype}; int16, or floats in -1..1, are meant")
    if not np.isfinite(samples).all():
        raise ValueError("sound with NaN or infinite samples")
    within: Reals = np.clip(samples, -1.0, 1.0).astype(np.float32)
    return within


def as_int16(samples: Any) -> Samples:
    """The same as int16."""
    scaled = np.rint(as_real(samples) * np.float32(32768)).clip(-32768, 32767)
    whole: Samples = scaled.astype(np.int16)
    return whole


def read(sound: Any, rate: int) -> Samples:
    """Samples (any number,) int16, of such or of the name of a WAV file: of `rate`, 16 bits, its
    channels mixed.

    Raises ValueError: another rate or another kind of file. Nothing is resampled here.
    """
    if not isinstance(sound, (str, os.PathLike)):
        return as_int16(sound)
    with wave.open(str(Path(sound)), "rb") as file:
        if file.getframerate() != rate or file.getsampwidth() != 2:
            raise ValueError(
                f"{sound}: {file.getframerate()} samples a second of {8 * file.getsampwidth()} "
                f"bits; {rate} of 16 are meant"
            )
        held = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        mixed = held.reshape(-1, file.getnchannels()).mean(axis=1) / 32768
    whole: Samples = np.rint(mixed * 32768).clip(-32768, 32767).astype(np.int16)
    return whole


def window(samples: Samples, told: dict[str, Any]) -> Reals:
    """(1, window) in -1..1: the part of samples (any number,) that a model hears, silence where
    there is none; told: `sound` of `app.json`."""
    length, spare = told["samples"], len(samples) - told["samples"]
    start = spare
    if told["cut"] == "middle":
        start = spare // 2
    elif told["cut"] == "spoken" and spare > 0:
        end = _end_of_speech(samples, told["rate"], length) + told["rate"] * _AFTER_MS // 1000
        start = int(np.clip(end - length, 0, spare))
    found = np.zeros((1, length), np.float32)
    first, last = max(start, 0), max(min(start + length, len(samples)), 0)
    if first < last:
        found[0, first - start : last - start] = as_real(samples[first:last])
    return found


def _end_of_speech(samples: Samples, rate: int, longest: int) -> int:
    """Where the shortest stretch ends that has most of a recording's loudness."""
    frame = max(1, rate * _FRAME_MS // 1000)
    whole = samples[: len(samples) // frame * frame].astype(np.float64).reshape(-1, frame)
    if not len(whole):
        return len(samples)
    energy = np.convolve((whole**2).mean(axis=1), np.ones(3) / 3, "same")[: len(whole)]
    level = 10 * np.log10(energy + 1e-3)
    quiet = max(np.quantile(level, _QUIET_SHARE) + _ABOVE_DB, level.max() - _LOUD_DB)
    until = np.cumsum(np.concatenate([[0.0], np.maximum(level - quiet, 0.0)]))
    frames = min(max(1, longest // frame), len(whole))
    most = (until[frames:] - until[:-frames]).max()
    if not most:
        return len(samples)
    ends = np.searchsorted(until, until[:-1] + _MOST_SHARE * most)
    lengths = np.where(ends <= len(whole), ends - np.arange(len(whole)), len(whole) + 1)
    return int(ends[int(lengths.argmin())]) * frame
