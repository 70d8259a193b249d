"""Whisper's front end is what transformers' feature extractor gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sound_models import chirp
from whisper_models import windows

from edgedistill.models.whisper.spectrum import LogMel


@pytest.mark.parametrize("bands", [80, 128])
@pytest.mark.parametrize("seconds", [1, 3])
def test_is_that_of_transformers(bands: int, seconds: int) -> None:
    transformers = pytest.importorskip("transformers")
    extractor = transformers.WhisperFeatureExtractor(feature_size=bands, chunk_length=seconds)
    samples = [chirp(16_000 * seconds, seed, 16_000) for seed in range(4)]
    samples.append(np.zeros(16_000 * seconds, np.float32))
    wanted = extractor(samples, sampling_rate=16_000, return_tensors="pt").input_features
    found = LogMel(bands).eval()(torch.from_numpy(np.stack(samples)))
    assert found.shape == wanted.shape == (5, bands, 100 * seconds)
    assert (found - wanted).abs().max() < 5e-4
    assert (found - wanted).abs().mean() < 1e-5


def test_silence_is_the_least() -> None:
    found = LogMel(80).eval()(torch.zeros(1, 1600))
    assert torch.allclose(found, torch.full((1, 80, 10), (-10 + 4) / 4))


def test_nothing_is_more_than_eight_decades_under_the_loudest() -> None:
    found = LogMel(80).eval()(windows(4))
    loudest = found.amax((1, 2))
    assert torch.allclose(found.amin((1, 2)), torch.maximum(loudest - 2, torch.tensor(-1.5)))


def test_each_sound_of_a_batch_is_heard_alone() -> None:
    log_mel, samples = LogMel(80).eval(), windows(4)
    alone = torch.cat([log_mel(each[None]) for each in samples])
    assert torch.allclose(log_mel(samples), alone, atol=1e-5)
