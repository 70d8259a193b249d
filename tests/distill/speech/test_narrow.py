"""Narrower feed-forward layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from whisper_models import RULES, whisper, windows

from edgedistill.data.speech.utterances import Utterances
from edgedistill.distill.speech.learning import Lessons
from edgedistill.distill.speech.narrow import Width, narrow_decoder, narrow_encoder
from edgedistill.distill.speech.states import heard
from edgedistill.models.whisper.network import Attention, Whisper
from edgedistill.transcribing.labelling import transcribe

COUNT = 10


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> Lessons:
    model = whisper()
    length = model.shape.samples
    split = Utterances(
        audio=(windows(COUNT).numpy() * 20_000).astype(np.int16).reshape(-1),
        offsets=np.arange(COUNT + 1) * length, texts=(None,) * COUNT, speakers=(None,) * COUNT,
        names=tuple(map(str, range(COUNT))), rate=16_000, window=length,
    )  # fmt: skip
    found = transcribe(model, split, RULES, 5, 4, tmp_path_factory.mktemp("asked"), lambda *_: None)
    return Lessons(split, found, np.arange(COUNT), RULES.prompt, seed=0)


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


def test_the_encoder_hears_each_utterance_once(lessons: Lessons, tmp_path) -> None:
    model, place = whisper(), tmp_path / "states.npy"
    found = heard(model, lessons, place, "fp32", lambda *_: None)
    samples = torch.from_numpy(lessons.split.inputs(lessons.ids)["samples"])
    with torch.no_grad():
        states = model.states(samples)
    np.testing.assert_allclose(found, states.numpy(), atol=5e-3)
    place.with_suffix(".done").write_text("8")  # as a run that ended there
    silent = heard(whisper(seed=9), lessons, place, "fp32", lambda *_: None)
    np.testing.assert_allclose(silent[:8], states.numpy()[:8], atol=5e-3)
    assert np.abs(silent[8:] - states.numpy()[8:]).max() > 0.1
