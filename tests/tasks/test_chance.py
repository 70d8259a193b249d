from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgedistill.predict import State
from edgedistill.tasks import TASKS, Task
from edgedistill.tasks.chance import by_chance, chance_warning
from edgedistill.tasks.retrieval import Retrieval, Texts

LABELS = np.repeat(np.arange(5), [40, 20, 20, 10, 10])
RANDOM = np.random.default_rng(0)


def warned(task: Task, outputs: Any, labels: Any) -> bool:
    return bool(chance_warning(task, outputs, labels, "Train for longer."))


def test_a_class_for_all_is_at_chance_and_a_little_knowledge_is_not() -> None:
    task = TASKS["classification"]
    always = np.tile(np.eye(5)[0], (100, 1))
    assert by_chance(task, always, LABELS) == pytest.approx(40.0)
    assert chance_warning(task, always, LABELS, "Train for longer.") == [
        "validation accuracy of 40.0 % is at chance: without looking at the samples, 40.0 % is "
        "reached. Train for longer."
    ]
    knowing = np.eye(5)[np.where(np.arange(100) % 2, LABELS, RANDOM.permutation(LABELS))]
    assert not warned(task, knowing, LABELS)


def test_the_most_frequent_class_is_the_bar_for_one_that_never_answers_it() -> None:
    # Right for a third of the others: more than dealt out at random, less than "always the first".
    answers = np.where(LABELS > 1, LABELS, 1)
    task = TASKS["classification"]
    outputs = np.eye(5)[np.where(np.arange(100) % 4, 1, answers)]
    assert task.quality(outputs, LABELS) < 40
    assert warned(task, outputs, LABELS)


def test_luck_beyond_the_most_frequent_class_is_at_chance() -> None:
    task, labels = TASKS["classification"], np.arange(40) % 2
    blind = np.eye(2)[np.where(np.arange(40) < 22, labels, 1 - labels)]
    assert task.quality(blind, labels) == pytest.approx(55.0)
    assert warned(task, blind, labels)


def test_unknown_labels_do_not_count() -> None:
    labels = np.concatenate([LABELS, np.full(200, -1)])
    always = np.tile(np.eye(5)[0], (300, 1))
    assert by_chance(TASKS["classification"], always, labels) == pytest.approx(40.0)


def test_labels_that_are_all_the_same_and_no_labels_tell_nothing() -> None:
    task, outputs = TASKS["classification"], np.eye(3)[[0, 0, 1, 1]]
    assert not warned(task, outputs, np.zeros(4, np.int64))
    with np.errstate(all="ignore"):
        assert not warned(task, outputs, np.full(4, -1))
    assert not warned(task, outputs[:1], np.zeros(1, np.int64))
    assert not warned(task, np.eye(3), np.arange(3))


def test_scores_that_are_no_order_are_at_chance() -> None:
    task = TASKS["multilabel"]
    labels = (RANDOM.random((200, 6)) < 0.2).astype(np.float32)
    blind = RANDOM.normal(size=labels.shape)
    assert task.constant(labels) == pytest.approx(task.quality(np.zeros((200, 6)), labels))
    assert warned(task, np.zeros((200, 6)), labels)
    assert not warned(task, blind + labels, labels)


def test_the_mean_of_all_is_at_chance() -> None:
    task = TASKS["regression"]
    labels = RANDOM.normal(size=(80, 2)).astype(np.float32)
    assert warned(task, np.tile(labels.mean(axis=0), (80, 1)), labels)
    assert warned(task, 3 * RANDOM.normal(size=(80, 2)), labels)
    assert not warned(task, labels + 0.5 * RANDOM.normal(size=(80, 2)), labels)


def test_one_place_for_all_images_is_at_chance() -> None:
    task = Retrieval(Texts(np.eye(5, dtype=np.float32), 10.0))
    assert warned(task, np.tile(np.eye(5)[0], (100, 1)), LABELS)
    assert not warned(task, np.eye(5)[LABELS] + 0.1, LABELS) and task.quality(
        np.eye(5)[LABELS], LABELS
    ) == pytest.approx(100.0)


def test_a_stage_says_it_aloud(tmp_path: Path) -> None:
    from edgedistill.stages import Context

    said: list[str] = []

    class Listening:
        def say(self, text: str) -> None:
            said.append(text)

        def tick(self, *_: Any) -> None: ...

    context = Context(tmp_path, 0, False, Listening(), tmp_path)
    state = State(20.0, ["at chance"])
    told = {"validation_quality": 20.0, "warnings": ["at chance"]}
    assert context.told("distill", state) == told
    assert context.told("control", State(20.0, []))["validation_quality"] == 20.0
    assert context.told("teacher", None) == {}
    assert said == ["distill: at chance"]
