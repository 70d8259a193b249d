from __future__ import annotations

import numpy as np
import pytest

from edgedistill.data.image.operations import Operation, operate

COUNT = len(Operation)


def images(count: int = 6, size: int = 9, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(1).integers(20, 200, (count, size, size, channels), np.uint8)


def done(batch: np.ndarray, operation: Operation, strength: float, sign: float = 0.9) -> np.ndarray:
    drawn = np.full(len(batch), (operation + 0.5) / COUNT)
    return operate(batch, drawn, np.full(len(batch), sign), strength)


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_what_an_image_becomes_does_not_depend_on_the_batch(channels):
    batch = images(3 * COUNT, channels=channels)
    random = np.random.default_rng(0)
    drawn, signs = np.arange(3 * COUNT) % COUNT / COUNT, random.random(3 * COUNT)
    whole = operate(batch, drawn, signs, 0.7)
    assert whole.dtype == np.uint8
    order = random.permutation(3 * COUNT)
    assert np.array_equal(operate(batch[order], drawn[order], signs[order], 0.7), whole[order])
    for at in range(3 * COUNT):
        here = slice(at, at + 1)
        assert np.array_equal(operate(batch[here], drawn[here], signs[here], 0.7)[0], whole[at])


@pytest.mark.parametrize("operation", list(Operation))
@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (9, 4)])
def test_any_shape_and_strength(operation, shape):
    batch = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), np.uint8)
    for strength in (0.01, 1.0):
        for sign in (0.1, 0.9):
            assert done(batch, operation, strength, sign).shape == batch.shape


def test_identity_and_what_is_drawn_for_others_leave_an_image_alone():
    batch = images()
    before = batch.copy()
    assert np.array_equal(done(batch, Operation.IDENTITY, 1.0), before)
    done(batch, Operation.SOLARIZE, 1.0)
    assert np.array_equal(batch, before)


def test_moves_take_whole_pixels_and_black():
    batch = images(size=10)
    by = round(0.45 * 10 * 0.5)
    moved = done(batch, Operation.TRANSLATE_X, 0.5)
    assert np.array_equal(moved[:, :, :-by], batch[:, :, by:])
    assert not moved[:, :, -by:].any()
    back = done(batch, Operation.TRANSLATE_Y, 0.5, sign=0.1)
    assert np.array_equal(back[:, by:], batch[:, :-by])
    # 30 degrees leave the middle where it is and turn what lies beside it.
    odd = images(size=11)
    turned = done(odd, Operation.ROTATE, 1.0)
    assert np.array_equal(turned[:, 5, 5], odd[:, 5, 5])
    assert np.array_equal(turned[:, 5, 9], odd[:, 3, 8])
    sheared = done(odd, Operation.SHEAR_X, 1.0)
    assert np.array_equal(sheared[:, 5], odd[:, 5])
    assert np.array_equal(sheared[:, 0, 1:], odd[:, 0, :-1])


def test_tables():
    batch = images()
    stretched = done(batch, Operation.AUTOCONTRAST, 0.3)
    assert np.all(stretched.min(axis=(1, 2)) == 0)
    assert np.all(stretched.max(axis=(1, 2)) == 255)
    even = done(batch, Operation.EQUALIZE, 0.3)
    assert np.all(even.min(axis=(1, 2)) == 0)
    assert np.all(even.max(axis=(1, 2)) == 255)
    assert np.array_equal(done(batch, Operation.POSTERIZE, 1.0), batch // 16 * 16)
    assert np.array_equal(done(batch, Operation.SOLARIZE, 1.0), 255 - batch)
    solarized = np.where(batch >= 128, 255 - batch, batch)
    assert np.array_equal(done(batch, Operation.SOLARIZE, 0.5), solarized)
    brighter = np.minimum(np.rint(batch * 1.45), 255)
    assert np.array_equal(done(batch, Operation.BRIGHTNESS, 0.5), brighter)
    flat = done(batch, Operation.CONTRAST, 1.0, sign=0.1)
    assert np.ptp(flat) < 0.15 * np.ptp(batch)


def test_one_value_has_neither_contrast_nor_an_order():
    batch = np.full((2, 4, 4, 3), 77, np.uint8)
    for operation in (Operation.AUTOCONTRAST, Operation.EQUALIZE, Operation.CONTRAST,
                      Operation.SATURATION, Operation.SHARPNESS):  # fmt: skip
        assert np.array_equal(done(batch, operation, 0.5), batch)


def test_saturation_goes_towards_grey_and_leaves_grey_images():
    batch = images()
    dull = done(batch, Operation.SATURATION, 1.0, sign=0.1)
    assert np.ptp(dull, axis=3).max() <= 0.1 * np.ptp(batch, axis=3).max() + 1
    grey = images(channels=1)
    assert np.array_equal(done(grey, Operation.SATURATION, 1.0), grey)


def test_sharpness_leaves_the_border():
    batch = images()
    smooth = done(batch, Operation.SHARPNESS, 1.0, sign=0.1)
    assert np.array_equal(smooth[:, 0], batch[:, 0])
    assert smooth[:, 1:-1, 1:-1].std() < batch[:, 1:-1, 1:-1].std()
