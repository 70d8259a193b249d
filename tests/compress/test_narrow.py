"""Narrower feed-forward layers."""

from __future__ import annotations

import pytest
import torch
from whisper_models import said_by, whisper

from edgedistill.compress.narrow import Width, narrow_decoder, narrow_encoder
from edgedistill.distill.speech.learning import Lessons
from edgedistill.models.whisper.network import Attention, Whisper

COUNT = 10


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> Lessons:
    return said_by(whisper(), COUNT, tmp_path_factory.mktemp("asked"))


def repeat(model: Whisper, part: str) -> None:
    """Each channel of a feed-forward layer twice, so that half of them can go for nothing."""
    for layer in getattr(model, part).layers:
        half = layer.fc1.out_features // 2
        with torch.no_grad():
            layer.fc1.weight[half:] = layer.fc1.weight[:half]
            layer.fc1.bias[half:] = layer.fc1.bias[:half]


def said(model: Whisper, lessons: Lessons) -> torch.Tensor:
    (batch,) = lessons.batches([lessons.ids], 0, torch.device("cpu"))
    with torch.no_grad():
        return batch.logits(model)


@pytest.mark.parametrize(("part", "narrow"), [("encoder", narrow_encoder),
                                              ("decoder", narrow_decoder)])  # fmt: skip
def test_channels_that_others_repeat_go_for_nothing(part, narrow, lessons: Lessons) -> None:
    model = whisper()
    repeat(model, part)
    before = said(model, lessons)
    inner = getattr(model.shape, f"{part}_inner") // 2
    heads, seen = getattr(model.shape, f"{part}_heads"), []
    lost = narrow(
        model, Width(heads, inner), lessons, lambda done, total: seen.append((done, total))
    )
    layers = getattr(model, part).layers
    assert getattr(model.shape, f"{part}_inner") == inner
    assert all(each.fc1.out_features == each.fc2.in_features == inner for each in layers)
    assert max(lost) < 1e-3
    assert seen[-1] == (len(layers), len(layers))
    torch.testing.assert_close(said(model, lessons), before, atol=0.02, rtol=0.02)
    Whisper(model.shape).load_state_dict(model.state_dict())


def test_what_goes_is_made_up_for_better_than_by_leaving_it_out(lessons: Lessons) -> None:
    model, plain = whisper(), whisper()
    before = said(model, lessons)
    inner = model.shape.decoder_inner * 3 // 4
    narrow_decoder(model, Width(model.shape.decoder_heads, inner), lessons, lambda *_: None)
    with torch.no_grad():
        for layer in plain.decoder.layers:
            layer.fc2.weight[:, inner:] = 0
    off = (said(model, lessons) - before).square().mean()
    assert off < 0.5 * (said(plain, lessons) - before).square().mean()


@pytest.mark.parametrize(("part", "narrow"), [("encoder", narrow_encoder),
                                              ("decoder", narrow_decoder)])  # fmt: skip
def test_heads_that_say_nothing_go_for_nothing(part, narrow, lessons: Lessons) -> None:
    model = whisper()
    heads = getattr(model.shape, f"{part}_heads")
    head = model.shape.width // heads
    attentions = [each for each in getattr(model, part).modules() if isinstance(each, Attention)]
    for attention in attentions:  # the first says nothing, and the bias what it says of nothing
        with torch.no_grad():
            attention.v_proj.weight[:head] = 0
    before = said(model, lessons)
    inner = getattr(model.shape, f"{part}_inner")
    lost = narrow(model, Width(heads - 1, inner), lessons, lambda *_: None)
    kinds = 2 if part == "decoder" else 1
    assert len(lost) == kinds * len(getattr(model, part).layers)
    assert max(lost) < 1e-3
    torch.testing.assert_close(said(model, lessons), before, atol=0.02, rtol=0.02)
    Whisper(model.shape).load_state_dict(model.state_dict())
    exported = model.programs()["decode_step"][1].inputs[2].shape
    assert exported[1:] == (model.shape.decoder_heads, model.shape.positions, head)
