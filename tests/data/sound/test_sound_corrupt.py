from __future__ import annotations

import numpy as np
import pytest

from edgedistill.data.sound.corrupt import KINDS, corrupt
from edgedistill.errors import UserError

RATE, LENGTH = 16_000, 8_000


def windows(count: int = 4) -> np.ndarray:
    """Two tones that grow louder, silence before them."""
    at = np.arange(LENGTH) / RATE
    found = np.stack([np.sin(2 * np.pi * (400 + 50 * n) * at) for n in range(count)])
    found += 0.5 * np.sin(2 * np.pi * 4500 * at)
    found *= np.linspace(0.05, 0.5, LENGTH)
    found[:, :2000] = 0
    return found.astype(np.float32)


def worse(samples: np.ndarray, kind: str, strength: int = 2, seed: int = 0) -> np.ndarray:
    return corrupt(samples, kind, strength, seed, np.arange(len(samples)) + 5, RATE)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_depends_on_the_batch(kind: str) -> None:
    samples = windows()
    whole = worse(samples, kind)
    assert whole.shape == samples.shape
    assert whole.dtype == np.float32
    alone = corrupt(samples[2:3], kind, 2, 0, np.array([7]), RATE)
    assert np.array_equal(alone[0], whole[2])
    assert np.array_equal(samples, windows())


@pytest.mark.parametrize("kind", KINDS)
def test_each_strength_goes_further(kind: str) -> None:
    samples = windows()
    apart = [np.abs(worse(samples, kind, n) - samples).mean() for n in (1, 2, 3)]
    assert apart[0] > 0
    # How far a tone is from itself at another speed is a matter of its phase.
    assert kind == "speed" or apart[0] < apart[1] < apart[2]


def test_noise_lies_so_far_below_what_is_heard() -> None:
    samples = windows()
    noise = worse(samples, "noise", 2) - samples
    heard = (samples[:, 2000:] ** 2).mean(axis=1)
    decibels = 10 * np.log10(heard / (noise**2).mean(axis=1))
    assert np.allclose(decibels, 10, atol=0.3), "silence around it not counted"
    assert not np.array_equal(worse(samples, "noise", 2, 1), worse(samples, "noise", 2, 0))
    assert not worse(np.zeros((1, 100), np.float32), "noise", 3).any()


def test_what_is_quiet_is_as_coarse_as_sixteen_bits_have_it() -> None:
    steps = worse(windows(), "quiet", 3) * 32768
    assert np.array_equal(steps, np.rint(steps))
    assert np.abs(steps).max() == pytest.approx(np.abs(windows()).max() * 32768 * 10**-1.8, abs=1)


def test_a_telephone_lets_its_band_through() -> None:
    def power(samples: np.ndarray, low: float, high: float) -> float:
        spectrum = np.abs(np.fft.rfft(samples)) ** 2
        frequencies = np.fft.rfftfreq(LENGTH, 1 / RATE)
        return float(spectrum[:, (frequencies >= low) & (frequencies <= high)].sum())

    samples, heard = windows(), worse(windows(), "telephone", 2)
    assert power(heard, 0, 290) + power(heard, 3410, 8000) < 1e-6 * power(samples, 3410, 8000)
    assert power(heard, 310, 3390) == pytest.approx(power(samples, 310, 3390), rel=1e-4)


def test_the_end_stays_where_it_is_at_another_speed() -> None:
    samples = np.zeros((40, LENGTH), np.float32)
    samples[:, -400:-100] = 0.5
    changed = worse(samples, "speed", 3)
    begins = (changed > 0.25).argmax(axis=1)
    ends = LENGTH - (changed[:, ::-1] > 0.25).argmax(axis=1)
    lengths = set((ends - begins).tolist())
    faster, slower = round(300 / 1.35), round(300 * 1.35)
    assert all(min(abs(each - faster), abs(each - slower)) <= 2 for each in lengths)
    assert max(lengths) - min(lengths) > 100, "some are faster, some are slower"


def test_an_unknown_kind_or_strength_is_refused() -> None:
    with pytest.raises(UserError, match="unknown corruption `nois`"):
        worse(windows(), "nois")
    with pytest.raises(UserError, match="there is no strength 4"):
        worse(windows(), "noise", 4)
