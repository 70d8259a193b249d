from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from edgedistill.data.image.corrupt import KINDS, corrupt
from edgedistill.errors import UserError

KNOWN = [89, 107, 59, 92]
EVERY = pytest.mark.parametrize("kind", KINDS)


def pictures(count: int = 4, size: int = 32, channels: int = 3) -> np.ndarray:
    """With an edge, gradients, texture and middling brightness, as photographs have them."""
    line = np.linspace(40, 200, size)
    image = line[:, None] * 0.5 + line[None, :] * 0.3 + 20
    image[size // 4 : size // 2, size // 4 : size // 2] += 40
    texture = np.random.default_rng(0).normal(0, 12, (count, size, size, channels))
    return (image[None, :, :, None] + texture).clip(0, 255).astype(np.uint8)


def distance(images: np.ndarray, others: np.ndarray) -> float:
    return float(np.abs(images.astype(int) - others.astype(int)).mean())


def test_kinds_are_the_five() -> None:
    assert KINDS == ("blur", "noise", "brightness", "contrast", "jpeg")


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(KINDS),
    st.integers(1, 3),
    st.sampled_from([8, 11, 40]),
    st.sampled_from([1, 3]),
    st.permutations(range(5)),
    st.integers(0, 2**40),
)
def test_nothing_depends_on_the_batch(kind, strength, size, channels, order, seed):
    images = np.random.default_rng(0).integers(0, 256, (5, size, size, channels), np.uint8)
    ids = np.arange(5) * 1000
    whole = corrupt(images, kind, strength, seed, ids)
    assert whole.shape == images.shape
    assert whole.dtype == np.uint8
    assert np.array_equal(corrupt(images[order], kind, strength, seed, ids[order]), whole[order])
    alone = corrupt(images[3:4], kind, strength, seed, ids[3:4])
    assert np.array_equal(alone[0], whole[3])


@EVERY
@pytest.mark.parametrize(("size", "channels"), [(8, 1), (32, 3), (96, 3)])
def test_each_strength_goes_further(kind: str, size: int, channels: int) -> None:
    images = pictures(size=size, channels=channels)
    before = images.copy()
    apart = [distance(corrupt(images, kind, n, 0, np.arange(4)), images) for n in (1, 2, 3)]
    assert 0 < apart[0] < apart[1] < apart[2]
    assert np.array_equal(images, before)


def test_noise_has_its_deviation_and_follows_seed_and_id() -> None:
    grey = np.full((2, 64, 64, 3), 128, np.uint8)
    noisy = corrupt(grey, "noise", 2, 7, np.array([3, 4]))
    error = (noisy.astype(float) - 128) / 255
    assert abs(error.mean()) < 0.002
    assert error.std() == pytest.approx(0.08, rel=0.02)
    assert np.abs(error).max() < 0.08 * 6
    assert abs(np.corrcoef(error[0].ravel(), error[1].ravel())[0, 1]) < 0.04
    assert not np.array_equal(noisy, corrupt(grey, "noise", 2, 8, np.array([3, 4])))


def test_noise_never_changes_between_versions() -> None:
    noisy = corrupt(np.full((1, 2, 2, 1), 100, np.uint8), "noise", 3, 1, np.array([5]))
    assert noisy.ravel().tolist() == KNOWN


def test_blur_weighs_by_a_gaussian_and_repeats_the_border() -> None:
    image = np.random.default_rng(0).integers(0, 256, (1, 12, 20, 1), np.uint8)
    blurred = corrupt(image, "blur", 2, 0, np.array([0]))[0, :, :, 0]
    kernel = np.exp(-0.5 * (np.arange(-3, 4) / 0.7) ** 2)
    weights = np.outer(kernel, kernel) / kernel.sum() ** 2
    padded = np.pad(image[0, :, :, 0].astype(float), 3, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (7, 7))
    assert np.abs(blurred - (windows * weights).sum(axis=(2, 3))).max() <= 0.51


def test_blur_grows_with_the_image_but_not_below_32_pixels() -> None:
    def width(size: int) -> float:
        edge = np.zeros((1, size, size, 1), np.uint8)
        edge[:, :, size // 2 :] = 255
        row = corrupt(edge, "blur", 3, 0, np.array([0]))[0, 0, :, 0] / 255
        return float((row * (1 - row)).sum())

    assert width(128) == pytest.approx(4 * width(32), rel=0.05)
    assert width(8) == pytest.approx(width(32), rel=0.05)


def test_blur_leaves_a_plain_image_alone() -> None:
    plain = np.full((1, 9, 20, 3), 77, np.uint8)
    assert np.array_equal(corrupt(plain, "blur", 3, 0, np.array([0])), plain)


def test_brightness_raises_the_largest_channel_and_keeps_the_colour() -> None:
    colours = np.array([[[[100, 50, 0], [0, 0, 0], [250, 125, 25]]]], np.uint8)
    bright = corrupt(colours, "brightness", 2, 0, np.array([0]))
    assert bright[0, 0].tolist() == [[138, 69, 0], [38, 38, 38], [255, 128, 26]]


def test_contrast_pulls_each_channel_to_its_mean() -> None:
    image = np.zeros((1, 2, 2, 3), np.uint8)
    image[0, :, 0] = (0, 100, 200)
    image[0, :, 1] = (200, 140, 200)
    flat = corrupt(image, "contrast", 2, 0, np.array([0]))
    assert flat[0, 0].tolist() == [[60, 112, 200], [140, 128, 200]]


def test_jpeg_is_pillow_s_own_at_the_stated_quality() -> None:
    image = pictures(1)
    stream = io.BytesIO()
    Image.fromarray(image[0]).save(stream, "JPEG", quality=40)
    wanted = np.asarray(Image.open(stream))
    assert np.array_equal(corrupt(image, "jpeg", 3, 0, np.array([0]))[0], wanted)


def test_an_empty_batch_stays_empty() -> None:
    nothing = np.empty((0, 8, 8, 3), np.uint8)
    assert corrupt(nothing, "noise", 1, 0, np.empty(0, np.int64)).shape == (0, 8, 8, 3)


def test_unknown_kinds_and_strengths_are_told() -> None:
    images, ids = pictures(1), np.array([0])
    with pytest.raises(UserError) as caught:
        corrupt(images, "blurr", 1, 0, ids)
    assert str(caught.value) == "unknown corruption `blurr`\nhint: did you mean `blur`?"
    with pytest.raises(UserError) as caught:
        corrupt(images, "jpeg", 4, 0, ids)
    assert str(caught.value) == ("corruption `jpeg`: there is no strength 4\nhint: give 1, 2 or 3")
