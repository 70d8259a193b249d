"""Power in bands is what NumPy's own transform gives, whatever the window and the hop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgedistill.models.mel import slaney_triangles
from edgedistill.models.spectrum import Spectrum

Floats = NDArray[np.float64]


def power(samples: Floats, window: int, hop: int, frames: int, filters: Floats) -> Floats:
    """(batch, frames, bands), in double precision."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    cut = [samples[:, at * hop : at * hop + window] * hann for at in range(frames)]
    found: Floats = np.abs(np.fft.rfft(np.stack(cut, 1))) ** 2 @ filters
    return found


@settings(max_examples=60, deadline=None)
@given(
    window=st.integers(2, 200),
    hop=st.integers(1, 120),
    more=st.integers(0, 5),
    bands=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
)
def test_is_that_of_numpy(window: int, hop: int, more: int, bands: int, seed: int) -> None:
    """Windows with gaps between them too, and any filters."""
    random = np.random.default_rng(seed)
    filters = random.random((window // 2 + 1, bands)) * (random.random((1, bands)) < 0.9)
    filters[random.integers(len(filters), size=bands), np.arange(bands)] = 1.0
    spectrum = Spectrum(window, hop, filters).eval()
    samples = random.normal(size=(2, (spectrum.blocks + more) * hop))
    wanted = power(samples, window, hop, more + 1, filters)
    for training in (False, True):
        found = spectrum.train(training).power(torch.from_numpy(samples).float()).numpy()
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() < 1e-5 * (1 + wanted.max())


def test_its_constants_are_neither_trained_nor_counted_twice() -> None:
    spectrum = Spectrum(400, 160, slaney_triangles(16_000, 400, 80))
    assert not list(spectrum.parameters())
    kept = spectrum.state_dict()
    assert "filters" not in kept
    assert sum(each.numel() * each.element_size() for each in kept.values()) < 50_000


def test_a_band_without_a_bin_is_told() -> None:
    with pytest.raises(ValueError, match="band 1 lies between two bins of the transform"):
        Spectrum(8, 4, np.array([[1.0, 0.0, 1.0]] * 5))
