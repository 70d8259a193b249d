from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgedistill.distill.teachers import Predictions, TeacherBatch
from edgedistill.distill.teachers.remembered import Remembered
from edgedistill.errors import UserError

CLASSES = 3


class Counting:
    """Answers from an image's first pixel, the last first; fails on asked number `fails`."""

    def __init__(self, fails: int = -1) -> None:
        self.asked: Counter[int] = Counter()
        self.fails = fails

    def predict(self, batch: TeacherBatch) -> Iterator[Predictions]:
        for place in reversed(range(len(batch.ids))):
            if self.asked.total() == self.fails:
                raise UserError("no more")
            value = int(batch.images[place].flat[0])
            self.asked[value] += 1
            yield Predictions(np.array([place]), logits(value)[None])


def logits(value: int) -> np.ndarray:
    return np.array([value, -value, 0.5], np.float32)


def batch(values: list[int], size: int = 2) -> TeacherBatch:
    pixels = np.zeros((len(values), 1, size, size), np.float32)
    pixels[:, 0, 0, 0] = np.array(values) / 255
    return TeacherBatch(np.arange(len(values)), np.arange(len(values)), False, {"pixels": pixels})


def answered(teacher: Remembered, values: list[int]) -> np.ndarray:
    found = np.full((len(values), CLASSES), np.nan, np.float32)
    for part in teacher.predict(batch(values)):
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
        list(teacher.predict(TeacherBatch(np.arange(1), np.arange(1), False, {"pixels": pixels})))
    assert inner.asked.total() == 2


def test_what_is_kept_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        answered(Remembered(Counting(), tmp_path / "a" / "b", CLASSES), [1])
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {"a": 0o700, "b": 0o700, "answers.bin": 0o600, "lock": 0o600}


def test_damaged_records_are_asked_again_and_then_known(tmp_path: Path) -> None:
    values = list(range(6))
    answered(Remembered(Counting(), tmp_path, CLASSES), values)
    path = tmp_path / "answers.bin"
    content = bytearray(path.read_bytes())
    record = len(content) // len(values)
    content[16:record] = b"\xff" * (record - 16)  # no numbers
    content[record : record + 16] = bytes(16)  # another image's
    path.write_bytes(bytes(content) + bytes(content[:record]))
    for asked in (2, 0):
        for inner in (Counting(), Counting()):
            found = answered(Remembered(inner, tmp_path, CLASSES), values)
            assert np.array_equal(found, np.stack([logits(value) for value in values]))
            assert inner.asked.total() == asked
            asked = 0


def test_a_file_emptied_under_way_is_asked_for_again(tmp_path: Path) -> None:
    inner = Counting()
    teacher = Remembered(inner, tmp_path, CLASSES)
    answered(teacher, [1, 2])
    os.truncate(tmp_path / "answers.bin", 0)
    assert np.array_equal(answered(teacher, [2])[0], logits(2))
    assert np.array_equal(answered(teacher, [1])[0], logits(1))
    assert inner.asked == Counter({1: 2, 2: 2})


@given(st.binary(max_size=300))
def test_a_file_of_anything_is_no_trouble(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("paid")
    (folder / "answers.bin").write_bytes(content)
    for _ in range(2):
        found = answered(Remembered(Counting(), folder, CLASSES), [3, 4])
        assert np.array_equal(found, np.stack([logits(3), logits(4)]))
