"""Layers left out, and what is learned from transcripts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from whisper_models import RULES, whisper, windows

from edgedistill.data.speech.utterances import Utterances
from edgedistill.distill.speech.ablation import ablate, tried
from edgedistill.distill.speech.learning import Batch, Distilled, Lessons
from edgedistill.models.whisper.network import Whisper
from edgedistill.recipe.transcription import SpeechTraining
from edgedistill.train import train
from edgedistill.transcribing.labelling import transcribe

COUNT = 12


@pytest.fixture(scope="module")
def model() -> Whisper:
    return whisper()


@pytest.fixture(scope="module")
def split(model: Whisper) -> Utterances:
    length = model.shape.samples
    sound = (windows(COUNT).numpy() * 20_000).astype(np.int16)
    return Utterances(
        audio=sound.reshape(-1), offsets=np.arange(COUNT + 1) * length, texts=(None,) * COUNT,
        speakers=(None,) * COUNT, names=tuple(map(str, range(COUNT))), rate=16_000, window=length,
    )  # fmt: skip


@pytest.fixture(scope="module")
def lessons(model: Whisper, split: Utterances, tmp_path_factory: pytest.TempPathFactory) -> Lessons:
    place = tmp_path_factory.mktemp("asked")
    found = transcribe(model, split, RULES, 5, 4, place, lambda *_: None)
    return Lessons(split, found, np.arange(COUNT), RULES.prompt, seed=0)


def order() -> list[np.ndarray]:
    return [np.arange(0, 5), np.arange(5, COUNT)]


def batches(lessons: Lessons) -> list[Batch]:
    return list(lessons.batches(order(), 0, torch.device("cpu")))


def test_labels_asked_for_again_are_those_that_lie_there(
    model: Whisper, split: Utterances, tmp_path
) -> None:  # type: ignore[no-untyped-def]
    first = transcribe(model, split, RULES, 5, 4, tmp_path, lambda *_: None)
    silent = whisper(seed=8)
    again = transcribe(silent, split, RULES, 5, 4, tmp_path, lambda *_: None)
    np.testing.assert_array_equal(first.tokens, again.tokens)
    (tmp_path / "000001" / "done").unlink()
    other = transcribe(silent, split, RULES, 5, 4, tmp_path, lambda *_: None)
    assert len(other) == COUNT
    assert other.tokens.tolist() != first.tokens.tolist()


def test_the_encoders_states_are_kept_by_utterance(
    model: Whisper, split: Utterances, tmp_path
) -> None:  # type: ignore[no-untyped-def]
    kept = np.zeros((COUNT, model.shape.positions, model.shape.width), np.float16)
    transcribe(model, split, RULES, 5, 5, tmp_path, lambda *_: None, kept)
    with torch.no_grad():
        wanted = model.states(torch.from_numpy(split.inputs(np.arange(COUNT))["samples"]))
    np.testing.assert_allclose(kept, wanted.numpy(), atol=2e-3, rtol=2e-3)


def test_the_whole_model_says_its_own_transcripts(model: Whisper, lessons: Lessons) -> None:
    suppressed = [*RULES.suppressed]
    for batch in batches(lessons):
        with torch.no_grad():
            logits = batch.logits(model)
        logits[..., suppressed] = -torch.inf
        first = len(RULES.prompt) - 1
        logits[:, first, list(RULES.suppressed_first)] = -torch.inf
        assert torch.equal(logits.argmax(2)[batch.counted], batch.target[batch.counted])


def test_layers_go_by_what_is_lost_without_them(model: Whisper, lessons: Lessons) -> None:
    found = ablate(model, "decoder", 1, lambda: iter(batches(lessons)), lambda *_: None)
    whole, *alone = found.trials
    assert whole.layers == (0, 1)
    assert [each.layers for each in alone] == [(1,), (0,)]
    assert found.kept == min(alone, key=lambda each: each.cross_entropy).layers
    assert whole.cross_entropy < min(each.cross_entropy for each in alone)
    assert len(model.decoder.layers) == 2
    again = tried(model, "decoder", (0, 1), lambda: iter(batches(lessons)))
    assert again == whole


def test_of_the_encoder_too(model: Whisper, lessons: Lessons) -> None:
    found = ablate(model, "encoder", 1, lambda: iter(batches(lessons)), lambda *_: None)
    assert len(found.kept) == 1
    assert len(model.encoder.layers) == 2


def test_batches_hold_each_utterance_once_and_count_its_places(lessons: Lessons) -> None:
    seen = np.concatenate(lessons.order(4, epoch=3))
    assert sorted(seen.tolist()) == list(range(COUNT))
    assert [each.tolist() for each in lessons.order(4, 3)] == [
        each.tolist() for each in lessons.order(4, 3)
    ]
    counted = sum(int(each.counted.sum()) for each in batches(lessons))
    assert counted == len(lessons.transcripts.tokens)


def test_a_student_learns_what_its_teacher_says(lessons: Lessons, tmp_path) -> None:  # type: ignore[no-untyped-def]
    student = whisper(seed=3)
    settings = SpeechTraining(epochs=30, batch_size=4, learning_rate=2e-3, precision="fp32")
    before = tried(student, "decoder", (0, 1), lambda: iter(batches(lessons)))
    encoder = student.encoder.layers[0].fc1.weight.detach().clone()
    train(Distilled(student), lessons, settings, checkpoint=tmp_path / "checkpoint.safetensors",
          tick=lambda *_: None)  # fmt: skip
    after = tried(student.eval(), "decoder", (0, 1), lambda: iter(batches(lessons)))
    assert after.cross_entropy < 0.7 * before.cross_entropy
    assert torch.equal(encoder, student.encoder.layers[0].fc1.weight)


@pytest.mark.parametrize(("soft", "hard"), [(1.0, 0.0), (0.0, 1.0)])
def test_each_loss_alone_moves_the_decoder(lessons: Lessons, soft: float, hard: float) -> None:
    student = whisper(seed=3)
    loss = Distilled(student, soft, hard)(batches(lessons)[0])
    loss.backward()
    assert torch.isfinite(loss)
    assert student.decoder.layers[0].fc1.weight.grad is not None
    assert student.encoder.conv1.weight.grad is None
