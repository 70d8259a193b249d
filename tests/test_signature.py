from __future__ import annotations

import pytest
import torch

from edgedistill.signature import (
    Signature,
    TensorSpec,
    blank,
    image_inputs,
    image_shape,
    in_words,
    noise,
    with_channels,
)

VECTOR = TensorSpec("vector", (None, 5), "NC", range=(-2.0, 1.0))
PICTURE = image_inputs(3, 8, 6)[0]
STATE = TensorSpec("state", (1, 4))
LOGITS, OTHER = TensorSpec("logits", (None, 3), "NC"), TensorSpec("other", (None, 2), "NC")


def test_a_batch_takes_the_place_of_any_size() -> None:
    assert PICTURE.of_batch(4) == (4, 3, 8, 6)
    assert STATE.of_batch(4) == (1, 4)


def test_the_task_judges_the_logits_or_the_first() -> None:
    assert Signature((VECTOR,), (OTHER, LOGITS)).answer == 1
    assert Signature((VECTOR,), (OTHER, STATE)).answer == 0


def test_what_is_fed_back_is_not_fresh() -> None:
    fed_back = Signature((STATE, VECTOR), (LOGITS, OTHER), {"other": "state"})
    assert fed_back.fresh == (VECTOR,)
    assert Signature((STATE, VECTOR), (LOGITS,)).fresh == (STATE, VECTOR)


@pytest.mark.parametrize(
    ("inputs", "shape"),
    [
        ((PICTURE,), (3, 8, 6)),
        ((PICTURE, VECTOR), None),
        ((VECTOR,), None),
        ((TensorSpec("pixels", (None, 8, 6, 3), "NHWC"),), None),
        ((TensorSpec("pixels", (None, 3, None, 6), "NCHW"),), None),
    ],
)
def test_only_one_picture_of_a_fixed_size_has_a_pictures_shape(
    inputs: tuple[TensorSpec, ...], shape: tuple[int, int, int] | None
) -> None:
    assert image_shape(inputs) == shape


def test_other_channels_leave_the_rest_alone() -> None:
    assert with_channels((PICTURE,), 1) == image_inputs(1, 8, 6)


def test_zeros_have_each_inputs_shape_and_type() -> None:
    ids = TensorSpec("ids", (None, 7), dtype="int64")
    zeros = blank((PICTURE, ids), batch=2)
    assert [tuple(each.shape) for each in zeros] == [(2, 3, 8, 6), (2, 7)]
    assert [each.dtype for each in zeros] == [torch.float32, torch.int64]
    assert not any(each.any() for each in zeros)


def test_noise_fills_each_inputs_range_and_is_the_generators() -> None:
    inputs = (PICTURE, VECTOR)
    pixels, vector = noise(inputs, 400, torch.Generator().manual_seed(0))
    assert pixels.shape == (400, 3, 8, 6) and 0 <= float(pixels.min()) < 0.01
    assert 0.99 < float(pixels.max()) <= 1
    assert -2 <= float(vector.min()) < -1.9 and 0.9 < float(vector.max()) <= 1
    again = noise(inputs, 400, torch.Generator().manual_seed(0))
    assert torch.equal(pixels, again[0]) and torch.equal(vector, again[1])


def test_shapes_are_told_of_one_sample() -> None:
    assert in_words((PICTURE,)) == "3x8x6"
    assert in_words((PICTURE, VECTOR)) == "pixels 3x8x6, vector 5"
    assert in_words((TensorSpec("sound", (None, 1, None)),)) == "1x?"
