"""What a Whisper takes is reckoned from its sizes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from whisper_models import SHAPE, whisper

from edgedistill.models.whisper.needs import (
    Batch,
    choosing,
    exporting,
    labelling,
    parameters,
    training,
)
from edgedistill.models.whisper.network import DECODE_STEP, ENCODE, Shape

LARGE = Shape(
    bands=128, width=1280, encoder_layers=32, decoder_layers=32, encoder_heads=20, decoder_heads=20,
    encoder_inner=5120, decoder_inner=5120, vocabulary=51_866,
)  # fmt: skip
BATCH = Batch(size=8, tokens=160)


@pytest.mark.parametrize(
    "shape",
    [
        SHAPE,
        replace(SHAPE, encoder_layers=1, decoder_layers=3, bands=128, encoder_inner=16),
        replace(SHAPE, encoder_heads=3, encoder_head=8, decoder_heads=2, decoder_head=8),
        replace(SHAPE, decoder_inner=48, vocabulary=290, positions=30, tokens=9),
    ],
)
def test_weights_are_counted_as_torch_counts_them(shape: Shape) -> None:
    model = whisper(shape)
    sound = {
        name: each.numel()
        for name, each in model.decoder.named_parameters()
        if "encoder_attn.k_proj" in name or "encoder_attn.v_proj" in name
    }
    encoder = sum(each.numel() for each in model.encoder.parameters())
    decoder = sum(each.numel() for each in model.decoder.parameters())
    assert parameters(shape) == {
        ENCODE: encoder + sum(sound.values()), DECODE_STEP: decoder - sum(sound.values()),
    }  # fmt: skip


def test_the_largest_is_as_large_as_it_is_said_to_be() -> None:
    assert sum(parameters(LARGE).values()) == 1_543_490_560


def test_more_takes_more() -> None:
    half = replace(LARGE, encoder_layers=16, decoder_layers=16)
    one = Batch(1, 160)
    assert labelling(half, BATCH) < labelling(LARGE, BATCH)
    assert labelling(LARGE, one) <= labelling(LARGE, BATCH) < choosing(LARGE, BATCH, 100_000)
    assert exporting(half) < exporting(LARGE)
    few, frozen, all_ = (
        training(LARGE, half, one, False),
        training(LARGE, half, BATCH, False),
        training(LARGE, half, BATCH, True),
    )
    assert few < frozen < all_


def test_what_learns_has_a_gradient_and_two_means() -> None:
    learns = sum(parameters(LARGE).values())
    assert training(LARGE, LARGE, BATCH, True) > 16 * learns
    ends = replace(LARGE, decoder_layers=0, vocabulary=0, tokens=0)
    frozen = sum(parameters(ends).values()) - 2 * LARGE.width
    taken = training(LARGE, LARGE, BATCH, True) - training(LARGE, LARGE, BATCH, False)
    assert taken > 12 * frozen
