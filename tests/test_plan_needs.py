"""What a recognizer's recipe takes of a machine is told before anything runs."""

from __future__ import annotations

from typing import Any

import pytest
from whisper_models import SHAPE

from edgedistill import plan_needs
from edgedistill.errors import UserError
from edgedistill.models.whisper.network import Shape
from edgedistill.recipe import TranscriptionRecipe, parse_recipe
from edgedistill.stages.recognizer import Config as Export
from edgedistill.target import RuntimeName
from edgedistill.transcribing.vocabulary import Vocabulary

LARGE = Shape(
    bands=128, width=1280, encoder_layers=32, decoder_layers=32, encoder_heads=20, decoder_heads=20,
    encoder_inner=5120, decoder_inner=5120, vocabulary=51_866,
)  # fmt: skip
WORDS = Vocabulary((b"a", b"\xc3\xa9", b""), {"<|endoftext|>": 2})


@pytest.fixture(autouse=True)
def paced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgedistill.transcribing.pace.seconds_an_hour", lambda *_: 600.0)
    memory(monkeypatch, 24.0)


def memory(monkeypatch: pytest.MonkeyPatch, gigabytes: float) -> None:
    monkeypatch.setattr(plan_needs, "machine", lambda: {"memory_gb": gigabytes})


def recipe(**changes: Any) -> TranscriptionRecipe:
    document = {
        "name": "tiny", "task": "transcription", "data": {"train": "somewhere", "language": "en"},
        "teacher": {"family": "whisper", "name": "large"}, **changes,
    }  # fmt: skip
    found = parse_recipe(document, "test")
    assert isinstance(found, TranscriptionRecipe)
    return found


def export(*precisions: str, runtimes: tuple[RuntimeName, ...] = ("litert", "openvino")) -> Export:
    return Export(
        name="tiny", runtimes=runtimes, precisions=precisions, activations="auto", utterances=1,
        weight_bits=8, processor="",
    )  # type: ignore[arg-type]  # fmt: skip


def test_parameters_memory_and_time_are_told() -> None:
    asked = recipe(data={"train": "somewhere", "language": "en", "seconds": 1},
                   student={"decoder_layers": 1, "tokens": 20})  # fmt: skip
    told = plan_needs.told(asked, SHAPE, WORDS, export("fp32"))
    assert told[0] == "parameters: 0.1 M of the teacher, 0.1 M of the student, at most"
    assert told[1].startswith("memory in GB, reckoned: labelling 0.")
    assert told[1].endswith("this machine has 24")
    assert "choosing layers" in told[1] and "training" in told[1] and "export" in told[1]
    assert told[2].startswith("labelling: about 10 minutes for an hour of sound on this machine")
    assert len(told) == 3


def test_what_will_not_be_done_takes_nothing() -> None:
    asked = recipe(stages={"distill": None}, student={"decoder_layers": [0, 1]})
    told = plan_needs.told(asked, LARGE, WORDS, None)[1]
    assert "choosing" not in told and "training" not in told


def test_too_little_memory_is_told() -> None:
    told = plan_needs.told(recipe(), LARGE, WORDS, None)
    assert told[2].startswith("memory: too little for training and export, as reckoned")


def test_weights_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    memory(monkeypatch, 4.0)
    with pytest.raises(UserError) as error:
        plan_needs.told(recipe(), LARGE, WORDS, None)
    assert error.value.message == (
        "teacher: its weights are 6.2 GB in memory, and this machine has 4"
    )


def test_a_program_that_no_file_holds_is_refused() -> None:
    with pytest.raises(UserError) as error:
        plan_needs.told(recipe(), LARGE, WORDS, export("int8", "fp32"))
    assert error.value.message == (
        "export: `encode` in fp32 takes 3.0 GB, and a file for litert holds 2.1 at most"
    )
    plan_needs.told(recipe(), LARGE, WORDS, export("int8"))
    plan_needs.told(recipe(), LARGE, WORDS, export("fp32", runtimes=("openvino",)))


def test_a_student_has_what_its_recipe_keeps() -> None:
    asked = recipe(student={"encoder_layers": [1], "decoder_layers": 2, "vocabulary": "ascii",
                            "tokens": 20, "decoder_heads": 1, "decoder_ffn": 0.5})  # fmt: skip
    found = plan_needs.student_of(asked, SHAPE, WORDS)
    assert (found.encoder_layers, found.decoder_layers) == (1, 2)
    assert (found.vocabulary, found.tokens) == (2, 20)
    assert (found.decoder_heads, found.decoder_head, found.decoder_inner) == (1, 8, 32)
