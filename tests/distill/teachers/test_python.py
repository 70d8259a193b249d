from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from asking import CLASSES, answers, batch, context, softmax

from edgedistill.distill.teachers import Teacher, TeacherBatch, open_teacher
from edgedistill.errors import UserError
from edgedistill.recipe import PythonTeacher

CODE = """
import numpy as np

def brightness(images):
    assert images.dtype == np.uint8
    return images.mean(axis=(1, 2)) / 255

def shares(images):
    bright = images.astype(float).sum(axis=(1, 2))
    return bright / bright.sum(axis=1, keepdims=True)

def two(images):
    return np.zeros((len(images), 2))

def broken(images):
    raise KeyError("red")
"""


@pytest.fixture(autouse=True)
def _code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bright_teacher.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)


def teacher(function: str, **settings: str) -> Teacher:
    config = PythonTeacher.model_validate(
        {"family": "python", "function": f"bright_teacher:{function}", **settings}
    )
    return open_teacher(config, context())


def test_it_is_given_images_as_bytes() -> None:
    asked = batch()
    found = answers(teacher("brightness"), asked)
    assert np.allclose(found, asked.pixels.mean(axis=(2, 3)), atol=1e-6)


def test_probabilities_are_given_as_their_logarithms() -> None:
    asked = batch()
    bright = asked.pixels.sum(axis=(2, 3))
    found = answers(teacher("shares", outputs="probabilities"), asked)
    assert np.allclose(softmax(found), bright / bright.sum(axis=1, keepdims=True), atol=1e-5)


def _error(function: str, asked: TeacherBatch) -> UserError:
    with pytest.raises(UserError) as raised:
        answers(teacher(function), asked)
    return raised.value


def test_mistakes_name_the_function() -> None:
    error = _error("broken", batch(4))
    assert error.message == (
        "teacher.function: `bright_teacher:broken` failed in bright_teacher.py line 16: "
        "KeyError: 'red'"
    )
    assert error.hint == (
        "it is called with uint8 (batch, height, width, channels), here (4, 8, 8, 3), and gives "
        "an array (4, 3)"
    )
    assert _error("two", batch(4)).message == (
        "`bright_teacher:two` answers with shape (4, 2) for 4 samples; the data has 3 classes "
        f"({', '.join(CLASSES)}), expected (4, 3)"
    )
    assert _error("brightnes", batch(4)).message == (
        "teacher.function: `bright_teacher` has no function `brightnes`"
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import sys; sys.exit(0)", "failed in ends_teacher.py line 2: SystemExit: 0"),
        ("import os; os._exit(0)", "failed in ends_teacher.py line 2: SystemExit: 0"),
        ("raise BaseException('x')", "failed in ends_teacher.py line 2: BaseException: x"),
        ("return None", "answers with shape () for 4 samples"),
        ("return 'cat'", "failed: ValueError: "),
        ("return [[1], [2, 3]]", "failed: ValueError: "),
    ],
)
def test_a_function_may_do_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, message: str
) -> None:
    (tmp_path / "ends_teacher.py").write_text(f"def answer(images):\n    {body}\n")
    config = PythonTeacher(family="python", function="ends_teacher:answer")
    monkeypatch.delitem(sys.modules, "ends_teacher", raising=False)
    with pytest.raises(UserError) as raised:
        answers(open_teacher(config, context()), batch(4))
    assert message in raised.value.message
    assert raised.value.hint
