"""Triangles of Slaney's scale are those that others' libraries make."""

from __future__ import annotations

import numpy as np
import pytest

from edgedistill.models.mel import slaney_triangles

SIZES = [
    (16_000, 400, 80),
    (16_000, 400, 128),
    (8_000, 256, 20),
    (44_100, 1024, 64),
    (1_600, 400, 12),  # all below 1 kHz, where the scale is even
]


@pytest.mark.parametrize(("rate", "window", "bands"), SIZES)
def test_are_those_of_transformers(rate: int, window: int, bands: int) -> None:
    utils = pytest.importorskip("transformers.audio_utils")
    wanted = utils.mel_filter_bank(
        window // 2 + 1, bands, 0.0, rate / 2, rate, norm="slaney", mel_scale="slaney"
    )
    assert np.abs(slaney_triangles(rate, window, bands) - wanted).max() < 1e-12


@pytest.mark.parametrize(("rate", "window", "bands"), SIZES)
def test_have_one_area_and_lie_side_by_side(rate: int, window: int, bands: int) -> None:
    found = slaney_triangles(rate, window * 64, bands)
    hertz = rate / window / 64
    assert np.allclose(found.sum(0) * hertz, 1.0, rtol=0.01)
    centres = found.argmax(0) * hertz
    assert (np.diff(centres) > 0).all()
    below = np.diff(centres[centres < 1000])
    assert np.ptp(below) <= 2 * hertz


def test_a_tone_at_a_centre_is_of_one_band() -> None:
    """1,000 Hz is 15 mel; at 8,000 Hz there are 45.2."""
    found = slaney_triangles(16_000, 16_000, 2)
    middles = [1000 * (8000 / 1000) ** ((mel - 15) / 30.24) for mel in (15.08, 30.16)]
    assert found.argmax(0) == pytest.approx(middles, abs=12)
