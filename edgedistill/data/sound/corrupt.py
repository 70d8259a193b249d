"""Sound made worse as rooms, microphones and lines do it: how far can a model be trusted outside
the lab?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.counter import uniform
from edgedistill.data.sound.augment import Floats, resampled
from edgedistill.data.sound.decode import FULL
from edgedistill.data.strengths import amount_of

Doubles = NDArray[np.float64]

STRENGTHS: dict[str, tuple[float, float, float]] = {
    "noise": (20.0, 10.0, 0.0),
    "quiet": (-12.0, -24.0, -36.0),
    "clipping": (0.5, 0.2, 0.05),
    "telephone": (6000.0, 3400.0, 2000.0),
    "speed": (0.1, 0.2, 0.35),
}
"""What the strengths 1, 2 and 3 mean.

noise: decibels of the window's sound above white noise; quiet: decibels of gain, rounded to 16 bits
again; clipping: the share of the window's peak above which it is cut off; telephone: the upper end
of the band that is left, in Hz, above 300 Hz (3400 is ITU-T G.712's); speed: by how much faster or
slower it is, pitch included.
"""

KINDS = tuple(STRENGTHS)

LOWEST_HZ = 300.0
_RADIUS, _ANGLE, _FASTER = 120, 121, 122  # slots of the counter that no augmentation draws from


def corrupt(
    samples: Floats, kind: str, strength: int, seed: int, ids: NDArray[np.int64], rate: int
) -> Floats:
    """samples: (batch, length), float32 in -1..1; ids: (batch,), the windows' numbers in their
    split; strength: 1..3; rate: in Hz. Returns the same shape.

    Noise, and whether speed is faster or slower, depend on `seed` and the window's id, the same at
    each strength; the rest depends on the window alone. So nothing depends on the batch.

    Raises UserError: an unknown kind or strength.
    """
    amount = amount_of(kind, strength, STRENGTHS)
    out = np.empty_like(samples)
    worse: NDArray[Any]
    for at, window in enumerate(samples):
        number = ids[at : at + 1]
        if kind == "noise":
            worse = window + _noise(window, amount, seed, number)
        elif kind == "quiet":
            worse = np.rint(window * FULL * 10 ** (amount / 20)) / FULL
        elif kind == "clipping":
            most = amount * np.abs(window).max()
            worse = window.clip(-most, most)
        elif kind == "telephone":
            worse = _band(window, LOWEST_HZ, amount, rate)
        else:
            faster = uniform(seed, number, slot=_FASTER)[0] < 0.5
            worse = _at_speed(window, 1 + amount if faster else 1 / (1 + amount))
        out[at] = worse.clip(-1.0, 1.0)
    return out


def _noise(window: Floats, decibels: float, seed: int, number: NDArray[np.int64]) -> Doubles:
    """White noise that lies so far below the window's sound, silence around it not counted. Normal
    deviates by Box & Muller 1958, a counter's number for each sample."""
    heard = window[window != 0].astype(np.float64)
    power = float((heard**2).mean()) if len(heard) else 0.0
    values = number[0] * len(window) + np.arange(len(window))
    radius = np.sqrt(-2.0 * np.log1p(-uniform(seed, values, slot=_RADIUS)))
    deviates = radius * np.cos(2.0 * np.pi * uniform(seed, values, slot=_ANGLE))
    noise: Doubles = deviates * (power / 10 ** (decibels / 10)) ** 0.5
    return noise


def _band(window: Floats, low: float, high: float, rate: int) -> Doubles:
    spectrum = np.fft.rfft(window)
    frequencies = np.fft.rfftfreq(len(window), 1 / rate)
    spectrum[(frequencies < low) | (frequencies > high)] = 0
    left: Doubles = np.fft.irfft(spectrum, len(window))
    return left


def _at_speed(window: Floats, speed: float) -> Floats:
    """The window's end stays where it is: a faster one has silence before it, of a slower one the
    beginning is lost."""
    length = len(window)
    used = min(length, round(length * speed))
    played = resampled(window[length - used :], min(length, round(used / speed)))
    return np.concatenate([np.zeros(length - len(played), np.float32), played])
