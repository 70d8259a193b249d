from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgedistill.distill.store import fill, open_answers
from edgedistill.errors import UserError

SHAPE = (2, 100, 3)


def answer(ids: NDArray[np.int64], view: int) -> NDArray[np.float32]:
    return np.stack([ids, ids * 2, ids + view], axis=1).astype(np.float32)


def nothing(done: float, total: float, seconds: float) -> None:
    pass


def test_answers_are_found_by_sample_and_view(tmp_path: Path) -> None:
    fill(tmp_path, tmp_path / "p.json", SHAPE, 7, answer, nothing)
    answers = open_answers(tmp_path)
    ids = np.array([99, 0, 41])
    assert np.array_equal(answers(ids, 1), answer(ids, 1))
    assert np.array_equal(answers(ids, 3), answer(ids, 1)), "views repeat"


def test_after_a_kill_nothing_on_disk_is_asked_again(tmp_path: Path) -> None:
    asked: list[tuple[int, int]] = []

    def dying(ids: NDArray[np.int64], view: int) -> NDArray[np.float32]:
        if len(asked) == 20:
            raise KeyboardInterrupt
        asked.append((view, int(ids[0])))
        return answer(ids, view)

    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path, tmp_path / "p.json", SHAPE, 5, dying, nothing)
    again: list[tuple[int, int]] = []

    def recording(ids: NDArray[np.int64], view: int) -> NDArray[np.float32]:
        again.append((view, int(ids[0])))
        return answer(ids, view)

    fill(tmp_path, tmp_path / "p.json", SHAPE, 5, recording, nothing)
    assert again[0] == asked[16], "16 batches were flushed"
    ids = np.arange(100)
    assert np.array_equal(open_answers(tmp_path)(ids, 0), answer(ids, 0))


def test_an_answer_that_is_not_a_number_names_its_samples(tmp_path: Path) -> None:
    def broken(ids: NDArray[np.int64], view: int) -> NDArray[np.float32]:
        logits = answer(ids, view)
        logits[ids == 42] = np.nan
        return logits

    with pytest.raises(UserError, match=r"not finite for training samples \[42\]"):
        fill(tmp_path, tmp_path / "p.json", SHAPE, 8, broken, nothing)


def test_answers_for_other_classes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"shape \(8, 3\) for 8 images, expected \(8, 10\)"):
        fill(tmp_path, tmp_path / "p.json", (1, 16, 10), 8, answer, nothing)
