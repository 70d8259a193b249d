from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from exported import Silent
from made import data_record

from edgedistill.artifact import Artifact, seal
from edgedistill.data.image import mixing
from edgedistill.data.splits import image_writer
from edgedistill.distill.label_filter import LabelUse
from edgedistill.distill.store import Layout, keep, opened
from edgedistill.errors import UserError
from edgedistill.recipe import Augment, JudgeConfig
from edgedistill.stages import STAGES, Context
from edgedistill.stages.judge import Config

LABELS = np.array([0, 1, 0, 1, 0, 1, -1, 0, 1, 0])
ANSWERED = np.array([0, 1, 0, 1, 0, 0, 1, 1, 1, 0])
"""Two of nine known labels are not what the teacher says: 5 and 7."""
SURE, UNSURE = 8.0, 0.05
PLAIN = Augment()


def logits(answered: np.ndarray, margin: np.ndarray) -> np.ndarray:
    found = np.zeros((len(answered), 2), np.float32)
    found[np.arange(len(answered)), answered] = margin
    return found


def stage(
    tmp_path: Path, judge: JudgeConfig, validation: bool = True, augment: Augment = PLAIN
) -> Artifact:
    data, teach, out = (tmp_path / name for name in ("data", "teach", "judge"))
    for name in ("train", "validation"):
        writer = image_writer(data / name, (8, 8, 1))
        labels = LABELS if name == "train" else np.abs(LABELS)
        writer.add([np.zeros((10, 8, 8, 1), np.uint8)], labels, np.arange(10))
        writer.close()
    data_record(["a", "b"], 8, 1).write(data)
    teach.mkdir()
    margin = np.where(np.arange(10) == 2, UNSURE, SURE)
    with opened(tmp_path / "store", Layout(2), 1, 10, {}) as store:
        store.add(0, np.arange(10), logits(ANSWERED, margin))
        keep(store, teach)
    if validation:
        np.save(teach / "validation.npy", logits(ANSWERED, np.full(10, SURE)))
    out.mkdir()
    inputs = {"data": seal(data, "data", {}, {}), "teach": seal(teach, "teach", {}, {})}
    context = Context(out, 0, True, Silent(), tmp_path / "answers")
    metrics = STAGES["judge"].run(Config(judge=judge, augment=augment), inputs, context)
    return seal(out, "judge", metrics, {})


def test_each_doubt_is_handled_as_asked(tmp_path: Path) -> None:
    judged = stage(tmp_path, JudgeConfig(wrong="labels", unsure="drop"))
    handled = judged.metrics["handled"]
    assert handled == {
        doubt.name.lower(): {"labels": 2, "drop": 1}.get(doubt.name.lower(), 0)
        for doubt in LabelUse
        if doubt
    }
    assert judged.metrics["wrong_share"] == pytest.approx(2 / 9)
    assert judged.metrics["temperature"] == 1.0


def test_an_answer_to_two_images_in_one_is_wrong_if_it_is_neither_s(tmp_path: Path) -> None:
    judged = stage(tmp_path, JudgeConfig(wrong="drop"), augment=Augment(mixup=1.0))
    mix = mixing.drawn(np.arange(10), 10, 0, 0, Augment(mixup=1.0), (8, 8))
    assert mix is not None
    other = LABELS[mix.others]
    neither = (LABELS != ANSWERED) & (other != ANSWERED)
    held = np.where(mix.shares > 0.5, other, LABELS)
    assert judged.metrics["handled"]["drop"] == np.count_nonzero(neither & (held >= 0))


def test_a_teacher_that_is_too_sure_is_calibrated(tmp_path: Path) -> None:
    judged = stage(tmp_path, JudgeConfig(calibrate=True))
    # Right on 8 of 10, so its margin of 8 should be log(8 / 2).
    assert judged.metrics["temperature"] == pytest.approx(SURE / np.log(8 / 2), rel=0.01)
    told = judged.json("judge.json")["calibration"]
    assert told["after"] < told["before"]


def test_calibration_without_answers_to_calibrate_on_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the stored ones lack some of these"):
        stage(tmp_path, JudgeConfig(calibrate=True), validation=False)
