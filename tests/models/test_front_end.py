"""The front end is a log-mel spectrum, whole and in steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sound_models import FRONT_END, waves

from edgedistill.errors import UserError
from edgedistill.families.sound import FrontEndSettings
from edgedistill.models.front_end import FrontEnd
from edgedistill.models.streaming import Rings

Floats = NDArray[np.float64]


def filters(made: FrontEndSettings) -> Floats:
    """Triangles on the HTK scale, one bin and one band at a time."""
    size = made.rate // 100 * 3

    def mel(hertz: float) -> float:
        return float(2595 * np.log10(1 + hertz / 700))

    low, high = made.range_hz
    edges = np.linspace(mel(low), mel(high), made.bands + 2)
    hertz = [700 * (10 ** (edge / 2595) - 1) for edge in edges]
    found = np.zeros((size // 2 + 1, made.bands))
    for at in range(len(found)):
        for band, (low, top, high) in enumerate(zip(hertz, hertz[1:], hertz[2:], strict=False)):
            here = at * made.rate / size
            if low < here <= top:
                found[at, band] = (here - low) / (top - low)
            elif top < here < high:
                found[at, band] = (high - here) / (high - top)
    return found


def log_mel(samples: NDArray[np.float32], made: FrontEndSettings) -> Floats:
    """In double precision, by NumPy's own transform."""
    hop = made.rate // 100
    starts = range(0, len(samples) - 3 * hop + 1, hop)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(3 * hop) / (3 * hop))
    frames = np.stack([samples[at : at + 3 * hop] * window for at in starts])
    power = np.abs(np.fft.rfft(frames.astype(np.float64))) ** 2
    found: Floats = np.log(power @ filters(made) + made.floor)
    return found


def plain(made: FrontEndSettings) -> FrontEnd:
    """Without any normalization."""
    front_end = FrontEnd(made).eval()
    front_end.norm.eps = 0.0
    return front_end


@pytest.mark.parametrize(
    ("rate", "bands", "lowest", "highest"),
    [
        (16_000, 40, 60, 7_600),
        (16_000, 64, 300, 8_000),
        (8_000, 24, 20, 4_000),
        (44_100, 40, 60, 8_000),  # 1,323 samples: odd factors
        (48_000, 40, 125, 20_000),
        (11_000, 20, 0, 5_500),
    ],
)
def test_is_the_log_mel_spectrum(rate: int, bands: int, lowest: float, highest: float) -> None:
    made = FrontEndSettings(rate=rate, bands=bands, lowest_hz=lowest, highest_hz=highest)
    samples = waves(4, rate // 4, rate=rate)
    found = plain(made)(samples)
    wanted = np.stack([log_mel(each.numpy(), made) for each in samples])
    assert found.shape == wanted.shape == (4, 23, bands)
    # Of a band at the floor beside a loud sine, float32 rounds some of what little it has away.
    assert np.abs(found.numpy() - wanted).max() < 1e-3
    power = np.exp(wanted)
    apart = np.abs(np.exp(found.double().numpy()) - power) / power.max(2, keepdims=True)
    assert apart.max() < 2e-6


def test_training_computes_the_same_faster() -> None:
    front_end = FrontEnd(FrontEndSettings(bands=32))
    samples = 0.1 * torch.randn(3, 8000, generator=torch.Generator().manual_seed(0))
    trained = front_end.train().power(samples)
    torch.testing.assert_close(trained, front_end.eval().power(samples), rtol=1e-4, atol=1e-5)


def test_silence_is_the_floor() -> None:
    found = plain(FrontEndSettings(floor=1e-4))(torch.zeros(1, 1600))
    assert torch.allclose(found, torch.full_like(found, np.log(1e-4)))


def test_its_constants_are_small_and_neither_trained_nor_many() -> None:
    front_end = FrontEnd()
    assert not list(front_end.parameters())
    kept = front_end.state_dict().values()
    assert sum(each.numel() * each.element_size() for each in kept) < 23_000


@settings(max_examples=25, deadline=None)
@given(
    rate=st.integers(50, 200).map(lambda hundreds: hundreds * 100),
    bands=st.integers(8, 16),
    hops=st.integers(3, 12),
    batch=st.integers(1, 3),
)
def test_steps_give_the_frames_of_the_whole(rate: int, bands: int, hops: int, batch: int) -> None:
    made = FrontEndSettings(rate=rate, bands=bands, lowest_hz=100, highest_hz=rate / 2)
    front_end = FrontEnd(made).eval()
    samples = waves(batch, hops * front_end.hop, rate=rate)
    whole = front_end(samples)
    assert whole.shape == (batch, hops - 2, bands)
    state, frames = [torch.zeros(batch, 2 * front_end.hop)], []
    for piece in torch.split(samples, front_end.hop, 1):
        rings = Rings(state)
        frames.append(front_end(piece, rings))
        state = list(rings.next.values())
    assert torch.allclose(torch.cat(frames[2:], 1), whole, atol=1e-5)


def test_steps_of_pcen_are_the_mean_that_ends_with_the_window() -> None:
    """Per-channel energy normalization in double precision, frame by frame."""
    made = FrontEndSettings.model_validate(
        FRONT_END | {"compression": "pcen", "memory_ms": 50, "floor": 1e-10}
    )
    front_end, samples = plain(made), waves(3)
    found = front_end(samples).double().numpy()
    assert front_end.seen == 7 and found.shape == (3, 36 - 6, 12)
    weights = 0.975 ** np.arange(4, -1, -1)
    for wave, frames in zip(samples, found, strict=True):
        power = np.exp(log_mel(wave.numpy(), made)) - 1e-10
        for at, frame in enumerate(frames):
            recent = (weights[:, None] * power[at : at + 5]).sum(0) / weights.sum()
            wanted = (power[at + 4] / (1e-6 + recent) ** 0.98 + 2) ** 0.5 - 2**0.5
            assert np.abs(frame - wanted).max() < 1e-4


def test_bands_are_normalized_by_what_training_saw() -> None:
    front_end = FrontEnd(FrontEndSettings.model_validate(FRONT_END)).train()
    front_end.norm.momentum = 1.0
    samples = waves(16)
    trained = front_end(samples).detach()
    assert float(trained.mean((0, 1)).abs().max()) < 1e-4
    assert torch.allclose(trained.std((0, 1)), torch.ones(12), atol=0.02)
    assert torch.allclose(front_end.eval()(samples), trained, atol=0.01)


def test_it_stays_in_float32_where_the_rest_is_not() -> None:
    front_end = FrontEnd(FrontEndSettings.model_validate(FRONT_END)).eval()
    samples = waves(2)
    with torch.autocast("cpu", torch.bfloat16):
        found = front_end(samples)
    assert found.dtype == torch.float32
    assert torch.equal(found, front_end(samples))


def test_bands_that_no_transform_has_are_refused() -> None:
    with pytest.raises(UserError) as error:
        FrontEnd(FrontEndSettings(bands=128))
    assert error.value.message.startswith("front end: 128 bands are too many: band ")
    assert error.value.message.endswith("whose bins lie 33.3 Hz apart")
    assert error.value.hint == "lower `bands`, or raise `lowest_hz`"
