from __future__ import annotations

import io

import numpy as np
from pictures import noise
from PIL import Image

from edgedistill.data import ImageSplit
from edgedistill.data.image import duplicates


def photographs(count: int, seed: int = 0) -> np.ndarray:
    """Smooth random pictures, as unlike each other as photographs: (count, 32, 32, 3)."""
    drawn = np.random.default_rng(seed).integers(0, 256, (count, 6, 6, 3), np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(each).resize((32, 32), Image.Resampling.BICUBIC))
         for each in drawn]
    )  # fmt: skip


def find(train: np.ndarray, test: np.ndarray, reporter) -> list[duplicates.Twin]:
    splits = {
        "train": ImageSplit(train, np.zeros(len(train), np.int64)),
        "test": ImageSplit(test, np.zeros(len(test), np.int64)),
    }
    return duplicates.find(splits, reporter)


def jpeg(image: np.ndarray) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=60)
    return np.asarray(Image.open(stream))


def test_copies_are_found_where_they_lie(reporter):
    train, test = photographs(300), photographs(100, seed=1)
    test[7], test[90] = train[250], train[3]
    found = {(twin.known, twin.held, twin.exact) for twin in find(train, test, reporter)}
    assert found == {(250, 7, True), (3, 90, True)}


def test_re_encoded_and_brightened_copies_are_near(reporter):
    train, test = photographs(300), photographs(100, seed=1)
    test[7] = jpeg(train[250])
    test[90] = np.clip(train[3] * 1.05, 0, 255).astype(np.uint8)
    found = {(twin.known, twin.held, twin.exact) for twin in find(train, test, reporter)}
    assert found == {(250, 7, False), (3, 90, False)}


def test_a_test_set_copied_whole_is_found_whole(reporter):
    train = photographs(100)
    test = np.stack([jpeg(image) for image in train])
    assert len(find(train, test, reporter)) == 100


def test_pictures_that_differ_are_not_near(reporter):
    assert find(photographs(500), photographs(200, seed=1), reporter) == []


def test_the_same_in_other_colours_is_not_near(reporter):
    train = photographs(100)
    assert find(train, 255 - train, reporter) == []


def test_plain_images_only_match_exactly(reporter):
    train = np.stack([np.full((32, 32, 3), at, np.uint8) for at in range(0, 200, 2)])
    noisy = train + 1 + noise(0, 32) % 2
    assert find(train, noisy.astype(np.uint8), reporter) == []
    assert [twin.exact for twin in find(train, train[:5], reporter)] == [True] * 5


def test_many_alike_images_take_no_longer(reporter):
    frames = np.repeat(photographs(1), 2000, axis=0)
    frames[:, 0, 0, 0] = np.arange(2000) % 256
    assert len(find(frames[:1500], frames[1500:], reporter)) == 500


def test_sizes_that_eight_does_not_divide(reporter):
    train = np.stack([noise(at, 11) for at in range(40)])
    test = np.stack([np.clip(image.astype(int) + 2, 0, 255) for image in train[:3]])
    found = find(train, test.astype(np.uint8), reporter)
    assert [(twin.known, twin.held) for twin in found] == [(0, 0), (1, 1), (2, 2)]
