from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgedistill.distill.label_filter import LabelFilter, LabelUse, label_uses, open_label_filter
from edgedistill.recipe import JudgeConfig

LOGITS = np.array([[9, 0, 0], [9, 0, 0], [1.0, 1.01, 0], [9, 0, 0]], np.float32)
LABELS = np.array([0, 1, 1, -1])
AGREED = np.array([1, 1, 1, 0.5], np.float32)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, [0, 0, 0, 0]),
        ({"wrong": "drop"}, [0, LabelUse.DROP, 0, 0]),
        ({"wrong": "labels"}, [0, LabelUse.LABELS, 0, 0]),
        ({"unsure": "weigh"}, [0, 0, LabelUse.WEIGH, 0]),
        ({"disagreeing": "weigh"}, [0, 0, 0, LabelUse.WEIGH]),
        # Without a label there is nothing to learn in the teacher's place.
        ({"disagreeing": "labels"}, [0, 0, 0, LabelUse.DROP]),
        ({"wrong": "labels", "unsure": "weigh", "margin": 0.5}, [0, 2, 1, 0]),
    ],
)
def test_each_reason_acts_on_its_samples(settings: dict[str, str], wanted: list[int]) -> None:
    config = JudgeConfig.model_validate(settings)
    assert label_uses(config, LOGITS, AGREED, LABELS).tolist() == wanted


def test_a_judgement_is_read_back(tmp_path: Path) -> None:
    codes = np.array([[0, 1, 2], [3, 0, 0]], np.uint8)
    LabelFilter(codes, 0.25, 2.0).save(tmp_path)
    judged = open_label_filter(tmp_path)
    assert (judged.weight, judged.temperature) == (0.25, 2.0)
    assert judged(np.array([2, 0]), 0).tolist() == [2, 0]
    assert judged(np.array([0]), 3).tolist() == [3], "views repeat"


def test_whether_students_see_anything_of_it() -> None:
    assert not JudgeConfig().acts
    assert JudgeConfig(calibrate=True).acts
    assert JudgeConfig(unsure="drop").acts
