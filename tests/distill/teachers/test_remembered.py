from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgedistill.distill.teachers import Answered, Question
from edgedistill.distill.teachers.remembered import Remembered
from edgedistill.errors import UserError

CLASSES = 3


class Counting:
    """Answers from an image's first pixel, the last first; fails on asked number `fails`."""

    def __init__(self, fails: int = -1) -> None:
        self.asked: Counter[int] = Counter()
        self.fails = fails

    def ask(self, question: Question) -> Iterator[Answered]:
        for place in reversed(range(len(question.ids))):
            if self.asked.total() == self.fails:
                raise UserError("no more")
            value = int(question.images[place].flat[0])
            self.asked[value] += 1
            yield Answered(np.array([place]), logits(value)[None])


def logits(value: int) -> np.ndarray:
    return np.array([value, -value, 0.5], np.float32)


def question(values: list[int], size: int = 2) -> Question:
    pixels = np.zeros((len(values), 1, size, size), np.float32)
    pixels[:, 0, 0, 0] = np.array(values) / 255
    return Question(np.arange(len(values)), np.arange(len(values)), False, pixels)


def answered(teacher: Remembered, values: list[int]) -> np.ndarray:
    found = np.full((len(values), CLASSES), np.nan, np.float32)
    for part in teacher.ask(question(values)):
        assert np.isnan(found[part.at]).all(), "answered twice"
        found[part.at] = part.logits
    return found


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=8), min_size=1, max_size=6),
    st.data(),
)
def test_no_image_is_asked_for_twice_whoever_asks(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]], data: st.DataObject
) -> None:
    folder, inner = tmp_path_factory.mktemp("paid"), Counting()
    askers = [Remembered(inner, folder, CLASSES) for _ in range(2)]
    for values in batches:
        found = answered(data.draw(st.sampled_from(askers)), values)
        assert np.array_equal(found, np.stack([logits(value) for value in values]))
    assert set(inner.asked.values()) == {1}


@given(st.integers(1, 200))
def test_a_file_cut_anywhere_loses_the_cut_record_alone(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("paid")
    answered(Remembered(Counting(), folder, CLASSES), list(range(10)))
    path = folder / "answers.bin"
    record, whole = path.stat().st_size // 10, path.stat().st_size
    path.write_bytes(path.read_bytes()[: max(0, whole - cut)])
    inner = Counting()
    found = answered(Remembered(inner, folder, CLASSES), list(range(10)))
    assert np.array_equal(found, np.stack([logits(value) for value in range(10)]))
    assert inner.asked.total() == min(10, -(-cut // record))
    assert path.stat().st_size == whole


def test_what_came_before_a_failure_is_kept(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no more"):
        answered(Remembered(Counting(fails=4), tmp_path, CLASSES), list(range(6)))
    inner = Counting()
    answered(Remembered(inner, tmp_path, CLASSES), list(range(6)))
    assert inner.asked == Counter([0, 1])


def test_the_same_bytes_in_another_shape_are_another_image(tmp_path: Path) -> None:
    inner = Counting()
    teacher = Remembered(inner, tmp_path, CLASSES)
    for shape in ((1, 2, 4), (1, 4, 2)):
        pixels = np.zeros((1, *shape), np.float32)
        list(teacher.ask(Question(np.arange(1), np.arange(1), False, pixels)))
    assert inner.asked.total() == 2
