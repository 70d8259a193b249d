"""Long audio, listened to with the step that ships."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
import pytest
import tone_net
from tone_net import HOP, LENGTH, RATE

from edgedistill.artifact import Artifact
from edgedistill.data import open_split
from edgedistill.data.sound.split import SoundSplit
from edgedistill.errors import UserError
from edgedistill.plan import steps
from edgedistill.records import ListenRecord
from edgedistill.signature import Signature, TensorSpec
from edgedistill.stages.listen import recordings_of, rehearse
from edgedistill.target import load_target


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    folder = tmp_path_factory.mktemp("listen")
    tone_net.write_recordings(folder / "recordings")
    wanted = tone_net.recipe(folder / "recordings")
    return {
        "data": tone_net.prepared(wanted, folder / "data"),
        "export": tone_net.exported(folder / "export"),
    }


@pytest.fixture(scope="module")
def artifact(inputs: dict[str, Artifact], tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return tone_net.listened(inputs, tmp_path_factory.mktemp("stage") / "listen", limit=1.0)


def test_what_counts_as_heard_is_chosen_on_validation_and_tried_on_test_audio(
    artifact: Artifact,
) -> None:
    found = ListenRecord.read(artifact)
    assert (found.program, found.input, found.hop, found.rate) == ("step", "samples", HOP, RATE)
    assert found.lead_in == LENGTH
    assert found.rule.keywords == ("high", "low")
    assert found.rule.refractory == 50
    assert (found.validation.all.said, found.validation.all.missed) == (2, 0)
    assert found.test.all.said == 4 and found.test.all.false_accepts == 0
    assert 0.002 < found.test.hours < 0.01
    for curve, threshold in zip(found.validation_curves, found.rule.thresholds, strict=True):
        (point,) = (each for each in curve.points if each.threshold == threshold)
        assert (point.missed, point.false_accepts) == (0, 0)
    assert artifact.metrics["misses"] == found.test.all.misses


def test_the_same_is_found_again(
    inputs: dict[str, Artifact], artifact: Artifact, tmp_path: Path
) -> None:
    again = tone_net.listened(inputs, tmp_path / "listen", limit=1.0)
    assert again.digest == artifact.digest


def test_what_went_worst_can_be_played(artifact: Artifact) -> None:
    """Tones far below the noise are missed."""
    found = ListenRecord.read(artifact)
    missed = [each for each in found.cases if each.kind == "missed"]
    assert len(missed) == found.test.all.missed > 0
    for each in missed:
        with wave.open(io.BytesIO(artifact.file(each.sound).read_bytes())) as file:
            assert file.getframerate() == RATE
            assert 0.25 <= file.getnframes() / RATE <= 3.0
        threshold = dict(zip(found.rule.keywords, found.rule.thresholds, strict=True))
        assert each.confidence <= threshold[each.keyword]


def test_a_student_without_a_step_listens_to_nothing_and_that_is_said(
    inputs: dict[str, Artifact], tmp_path: Path
) -> None:
    silent = {**inputs, "export": tone_net.exported(tmp_path / "export", streams=False)}
    artifact = tone_net.listened(silent, tmp_path / "listen")
    assert artifact.metrics["warnings"] == [
        "the student has no program `step`: nothing can be listened with, or counted"
    ]
    assert not artifact.file(ListenRecord.FILE).exists()


def test_too_little_audio_to_tell_by_is_warned_of(artifact: Artifact) -> None:
    told = artifact.metrics["warnings"]
    assert isinstance(told, list) and len(told) == 2
    for each, split in zip(told, ("validation", "test"), strict=True):
        assert str(each).startswith(f"the {split} audio has 0.")
        assert "too few to count 1 false accepts an hour" in str(each)


def test_recordings_are_those_of_the_split(inputs: dict[str, Artifact]) -> None:
    split = open_split(inputs["data"].path, "test")
    assert isinstance(split, SoundSplit)
    found = recordings_of(split, (0, 1))
    assert sorted(label for _, label in found.keywords) == [0, 0, 1, 1]
    for clip, label in found.keywords:
        times = np.arange(len(clip)) / RATE
        hertz = list(tone_net.HERTZ.values())[label]
        assert abs(np.exp(2j * np.pi * hertz * times) @ clip) > 0.4 * np.abs(clip).max() * len(clip)
    assert len(found.others) == 2 and not found.noise
    fewer = recordings_of(split, (1,))
    assert [label for _, label in fewer.keywords] == [1, 1]
    assert len(fewer.others) == 4


def test_the_limit_is_the_recipes_or_the_contracts_or_one(tmp_path: Path) -> None:
    tone_net.write_recordings(tmp_path)
    for changes, limit in (
        ({}, 1.0),
        ({"contract": {"max_false_accepts_per_hour": 3.0}}, 3.0),
        ({"contract": {"max_false_accepts_per_hour": 3.0},
          "stages": {"teacher": {"train": {}}, "listen": {"false_accepts_per_hour": 0.5}}}, 0.5),
    ):  # fmt: skip
        planned = steps(tone_net.recipe(tmp_path, **changes), load_target("linux-x64"))
        (step,) = (each for each in planned if each.name == "listen")
        assert step.config.limit == limit  # type: ignore[attr-defined]
        assert {"data", "export"} <= step.inputs.keys()


def test_what_a_step_takes_is_known_before_the_training() -> None:
    assert rehearse({"main": tone_net.MAIN, "step": tone_net.STEP}) == ""
    assert "has no program `step`" in rehearse({"main": tone_net.MAIN})
    frames = Signature((TensorSpec("frames", (None, 10, 40)),), tone_net.MAIN.outputs)
    with pytest.raises(UserError, match="program `step` takes 10x40, beside its states; one piece"):
        rehearse({"main": tone_net.MAIN, "step": frames})
