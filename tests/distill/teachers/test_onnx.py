from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from asking import CLASSES, SIZE, answers, batch, context, linear, softmax, weights
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edgedistill.distill.teachers import Teacher
from edgedistill.distill.teachers.fingerprint import fingerprint
from edgedistill.distill.teachers.model_file import in_batches, layout_of
from edgedistill.distill.teachers.onnx import open_here
from edgedistill.errors import UserError
from edgedistill.recipe import OnnxTeacher

NCHW = ["batch", 3, SIZE, SIZE]


def write(
    path: Path,
    shape: Sequence[str | int] = NCHW,
    dtype: int = TensorProto.FLOAT,
    end: str | None = None,
    inputs: Sequence[str] = ("pixels",),
    first: bool = False,
    held: Any = None,
) -> Path:
    """A linear classifier with the weights `held`, `end` (an operator) after it. With `first`, the
    image itself comes out before the answer."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["floats"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["scores"]),
        helper.make_node(end or "Identity", ["scores"], ["answer"]),
    ]
    info = helper.make_tensor_value_info
    outputs = [info("answer", TensorProto.FLOAT, [shape[0], len(CLASSES)])]
    if first:
        outputs.insert(0, info("floats", TensorProto.FLOAT, shape))
    graph = helper.make_graph(
        nodes,
        "linear",
        [info(name, dtype, shape) for name in inputs],
        outputs,
        [numpy_helper.from_array(weights() if held is None else held, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


def teacher(path: Path, channels: int = 3, **settings: Any) -> Teacher:
    config = OnnxTeacher(family="onnx", path=path, **settings)
    return open_here(config, context(channels=channels))


def refusal(path: Path, channels: int = 3, **settings: Any) -> UserError:
    with pytest.raises(UserError) as raised:
        teacher(path, channels, **settings)
    return raised.value


def test_pixels_are_normalized_and_answers_come_back(tmp_path: Path) -> None:
    asked = batch()
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
    normalized = (asked.pixels - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    found = answers(teacher(write(tmp_path / "a.onnx"), mean=mean, std=std), asked)
    assert np.allclose(found, linear(normalized.astype(np.float32)), atol=1e-5)


def test_channels_last_and_a_fixed_batch(tmp_path: Path) -> None:
    path = write(tmp_path / "a.onnx", [2, SIZE, SIZE, 3])
    asked = batch(5)
    assert np.allclose(answers(teacher(path), asked), linear(asked.pixels, "NHWC"), atol=1e-5)


def test_a_file_may_take_bytes_or_halves(tmp_path: Path) -> None:
    asked = batch()
    stored = write(tmp_path / "a.onnx", dtype=TensorProto.UINT8)
    assert np.allclose(answers(teacher(stored), asked), linear(asked.pixels * 255), atol=1e-2)
    halves = write(tmp_path / "b.onnx", dtype=TensorProto.FLOAT16)
    rounded = asked.pixels.astype(np.float16).astype(np.float32)
    assert np.allclose(answers(teacher(halves), asked), linear(rounded), atol=1e-5)


def test_probabilities_are_given_as_their_logarithms(tmp_path: Path) -> None:
    asked = batch()
    found = answers(
        teacher(write(tmp_path / "a.onnx", end="Softmax"), outputs="probabilities"), asked
    )
    assert np.allclose(softmax(found), softmax(linear(asked.pixels)), atol=1e-5)
    assert found.max() <= 0


def test_the_answer_is_the_first_output_with_a_row_for_each_image(tmp_path: Path) -> None:
    asked = batch()
    path = write(tmp_path / "a.onnx", first=True)
    assert np.allclose(answers(teacher(path), asked), linear(asked.pixels), atol=1e-5)


def test_images_of_another_size_are_refused_with_both_sizes(tmp_path: Path) -> None:
    held = np.zeros((3 * 224 * 160, 3), np.float32)
    path = write(tmp_path / "a.onnx", ["batch", 3, 224, 160], held=held)
    error = refusal(path)
    assert error.message == f"{path}: takes images of 224x160 pixels, it is shown 8x8"
    assert error.hint == (
        "set `teacher.image_size: [224, 160]`, or export the teacher for the data's"
    )


def test_images_of_other_channels_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.onnx")
    assert refusal(path, channels=1).message == (
        f"{path}: takes images of 3 channels, the data's have 1"
    )


def test_an_input_that_takes_no_images_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.onnx", ["batch", 192])
    assert refusal(path).message == f"{path}: its input `pixels` has shape [None, 192]"
    write(path, dtype=TensorProto.INT64)
    assert refusal(path).message == f"{path}: its input `pixels` is tensor(int64)"
    write(path, inputs=("pixels", "mask"))
    assert refusal(path).message == f"{path}: has 2 inputs (pixels, mask), not one"


def test_normalization_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.onnx")
    assert refusal(path, mean=(0.5,), std=(1.0,)).message == (
        f"{path}: `mean` has 1 values, the images have 3 channels"
    )
    write(path, dtype=TensorProto.UINT8)
    assert refusal(path, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)).message == (
        f"{path}: takes pixels as uint8 in 0..255, so `mean` and `std` have no place"
    )


def test_a_file_that_is_missing_or_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    assert refusal(path).message == f"teacher: not found: {path}"
    path.write_bytes(b"no model")
    assert refusal(path).message.startswith(f"{path}: cannot be loaded as ONNX: ")


def test_an_image_that_the_graph_cannot_take(tmp_path: Path) -> None:
    path = write(tmp_path / "a.onnx", ["batch", 3, "height", "width"])
    config = OnnxTeacher(family="onnx", path=path)
    opened = open_here(config, context(size=16))
    with pytest.raises(UserError) as raised:
        answers(opened, batch(size=16))
    assert raised.value.message.startswith(f"{path}: cannot run on the data's samples: ")


def test_other_classes_than_the_data_has_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.onnx")
    opened = open_here(OnnxTeacher(family="onnx", path=path), context(classes=("cat", "dog")))
    with pytest.raises(UserError) as raised:
        answers(opened, batch(4))
    assert raised.value.message == (
        f"{path} answers with shape (4, 3) for 4 samples; the data has 2 classes (cat, dog), "
        "expected (4, 2)"
    )


@given(st.integers(1, 12), st.none() | st.integers(1, 12))
def test_batches_of_any_size_give_one_answer_an_image(count: int, size: int | None) -> None:
    asked = []

    def run(part: Any) -> Any:
        asked.append(len(part))
        return part * 2

    images = np.arange(count)
    assert np.array_equal(in_batches(run, images, size), images * 2)
    assert set(asked) == {size or count}


def test_layout_is_read_off_the_channels_or_else_is_the_usual() -> None:
    assert layout_of((None, 3, 32, 32), "NHWC") == "NCHW"
    assert layout_of((None, 32, 32, 1), "NCHW") == "NHWC"
    assert layout_of((None, None, None, None), "NCHW") == "NCHW"
    assert layout_of((1, None, None, None), "NHWC") == "NHWC"


def test_weights_beside_the_file_are_a_part_of_what_it_is_known_by(tmp_path: Path) -> None:
    path = write(tmp_path / "teacher.onnx")
    onnx.save(
        onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    config = OnnxTeacher(family="onnx", path=path)
    before = fingerprint(config)
    assert fingerprint(config) == before
    beside = tmp_path / "weights.bin"
    beside.write_bytes(beside.read_bytes()[::-1])
    assert fingerprint(config) != before
    beside.unlink()
    with pytest.raises(UserError, match=r"is not there: .*weights\.bin"):
        fingerprint(config)


def test_a_damaged_file_still_has_a_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "teacher.onnx"
    path.write_bytes(b"\x0a\xff nothing of the kind")
    assert fingerprint(OnnxTeacher(family="onnx", path=path))
