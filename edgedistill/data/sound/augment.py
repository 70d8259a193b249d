"""Random changes to windows of sound, each drawn from (seed, id, view) alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.counter import uniform
from edgedistill.recipe import SoundAugment

Floats = NDArray[np.float32]


class Slot(IntEnum):
    """What a random number is for. The values are part of every stored view: never renumber."""

    PLACE = 20
    SHIFT = 21
    GAIN = 22
    SPEED = 23
    NOISY = 24
    WHICH_NOISE = 25
    NOISE_PLACE = 26
    SNR = 27
    TIME_WIDTH = 28
    TIME_PLACE = 29
    BAND_WIDTH = 30
    BAND_PLACE = 31


@dataclass(frozen=True)
class Draws:
    """Random numbers of a batch in [0, 1)."""

    seed: int
    view: int
    ids: NDArray[np.int64]

    def __call__(self, slot: Slot) -> NDArray[np.float64]:
        """(batch,)"""
        return uniform(self.seed, self.ids, self.view, slot)


@dataclass(frozen=True)
class Change:
    """How one window is changed."""

    place: float
    """In [0, 1): where in its room it begins."""
    shift: int
    """Samples by which it begins later, where it has no room."""
    speed: float
    """1.1 is a tenth faster."""
    gain: float
    noisy: bool
    which_noise: float
    """In [0, 1): which of the recordings of noise."""
    noise_place: float
    """In [0, 1): where in it."""
    snr: float
    """Decibels of the window above the noise."""
    silenced: tuple[int, int]
    """From where to where, in samples."""
    band: tuple[float, float]
    """What is taken out, from where to where, as shares of the mel scale up to half the rate."""
    rate: int

    def stretch(self, length: int) -> int:
        """Samples of the recording that become `length` at this speed."""
        return round(length * self.speed)


def plan(draw: Draws, config: SoundAugment, rate: int, length: int) -> list[Change]:
    """One change for each id; length: of a window, in samples."""
    shift = config.shift_ms * rate / 1000
    low, high = config.snr_db
    masked = draw(Slot.TIME_WIDTH) * min(config.time_mask_ms * rate / 1000, length)
    begins = draw(Slot.TIME_PLACE) * (length - masked)
    band = draw(Slot.BAND_WIDTH) * config.band_mask
    lowest = draw(Slot.BAND_PLACE) * (1 - band)
    columns: dict[str, Any] = {
        "place": draw(Slot.PLACE),
        "shift": np.rint(shift * _both_ways(draw(Slot.SHIFT))).astype(int),
        "speed": 1 + config.speed * _both_ways(draw(Slot.SPEED)),
        "gain": 10 ** (config.gain_db * _both_ways(draw(Slot.GAIN)) / 20),
        "noisy": draw(Slot.NOISY) < config.noise,
        "which_noise": draw(Slot.WHICH_NOISE),
        "noise_place": draw(Slot.NOISE_PLACE),
        "snr": low + (high - low) * draw(Slot.SNR),
        "silenced": zip(begins.astype(int), (begins + masked).astype(int), strict=True),
        "band": zip(lowest, lowest + band, strict=True),
    }
    rows = zip(*columns.values(), strict=True)
    return [Change(**dict(zip(columns, row, strict=True)), rate=rate) for row in rows]


def _both_ways(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    return 2 * drawn - 1


def apply(cut: Floats, noise: Floats | None, how: Change, length: int) -> Floats:
    """(length,) float32 in -1..1, of a stretch of the recording and one of noise, (length,)."""
    samples = cut if len(cut) == length else resampled(cut, length)
    if noise is not None:
        samples = samples + _loudness(samples, how.snr) / max(_power(noise) ** 0.5, 1e-9) * noise
    samples = samples * np.float32(how.gain)
    begin, end = how.silenced
    if end > begin:
        samples[begin:end] = 0
    if how.band[1] > how.band[0]:
        samples = without_band(samples, how.band, how.rate)
    return np.clip(samples, -1, 1).astype(np.float32)


def _power(samples: Floats) -> float:
    return float(np.mean(samples.astype(np.float64) ** 2))


def _loudness(samples: Floats, snr: float) -> np.float32:
    """Of noise that lies `snr` decibels below the window's sound, silence around it not counted."""
    heard = samples[samples != 0]
    power = _power(heard) if len(heard) else 0.0
    return np.float32((power / 10 ** (snr / 10)) ** 0.5)


def resampled(samples: Floats, length: int) -> Floats:
    """(length,): `samples` at another speed, by cubic convolution (Keys 1981, a = -1/2), which
    needs no filter where the speed changes by a tenth or so."""
    at = np.arange(length) * (len(samples) / length)
    first = at.astype(np.int64)
    part = (at - first).astype(np.float32)
    padded = np.pad(samples, (1, 2))
    before, here, after, last = (padded[first + tap] for tap in range(4))
    slope, next_slope = (after - before) / 2, (last - here) / 2
    change = after - here
    cubic = slope + next_slope - 2 * change
    square = 3 * change - 2 * slope - next_slope
    return (((cubic * part + square) * part + slope) * part + here).astype(np.float32)


def without_band(samples: Floats, band: tuple[float, float], rate: int) -> Floats:
    """(samples,) without the frequencies between two shares of the mel scale (O'Shaughnessy 1987:
    2595 log10(1 + f / 700)) up to half the rate."""
    most = 2595 * np.log10(1 + rate / 2 / 700)
    low, high = (700 * (10 ** (share * most / 2595) - 1) for share in band)
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(len(samples), 1 / rate)
    spectrum[(frequencies >= low) & (frequencies < high)] = 0
    return np.fft.irfft(spectrum, len(samples)).astype(np.float32)
