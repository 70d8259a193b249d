from __future__ import annotations

import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgedistill.data import ImageSplit, open_split
from edgedistill.data.splits import ArrayWriter, held_out, image_writer, limited

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=80).map(
    lambda values: np.array(values, np.int64)
)


@given(LABELS, st.floats(0.05, 0.8), st.integers(0, 2**32))
def test_held_out_takes_its_share_of_every_class_and_leaves_some(labels, share, seed):
    chosen = held_out(labels, share, seed)
    for label in np.unique(labels):
        size = int(np.sum(labels == label))
        taken = int(np.sum(chosen[labels == label]))
        assert 0 <= taken <= max(size - 1, 0)
        if size >= 2:
            assert taken >= 1
            assert abs(taken - share * size) <= 1


@given(LABELS, st.integers(5, 100), st.integers(0, 2**32))
def test_limited_is_full_and_as_even_as_the_classes_allow(labels, limit, seed):
    chosen = limited(labels, limit, seed)
    assert chosen.sum() == min(limit, len(labels))
    sizes = np.bincount(labels, minlength=5)
    taken = np.bincount(labels[chosen], minlength=5)
    cut = taken[taken < sizes]
    if len(cut):
        assert taken.max() - cut.min() <= 1


@given(LABELS, st.integers(0, 1000))
def test_choices_are_drawn_from_the_seed_alone(labels, seed):
    assert np.array_equal(held_out(labels, 0.3, seed), held_out(labels, 0.3, seed))
    assert np.array_equal(limited(labels, 10, seed), limited(labels, 10, seed))


def test_other_seeds_choose_others():
    labels = np.zeros(100, np.int64)
    assert not np.array_equal(held_out(labels, 0.5, 0), held_out(labels, 0.5, 1))


def written(folder) -> np.ndarray:
    images = np.random.default_rng(0).integers(0, 256, (7, 8, 8, 3), np.uint8)
    writer = image_writer(folder / "train", (8, 8, 3))
    writer.add([images[:4]], np.arange(4), np.arange(10, 14))
    writer.add([images[4:]], np.arange(4, 7), np.arange(14, 17))
    writer.close()
    return images


def test_what_is_written_is_opened_mapped(tmp_path):
    images = written(tmp_path)
    split = open_split(tmp_path, "train")
    assert isinstance(split.images, np.memmap)
    assert np.array_equal(split.images, images)
    assert split.labels.tolist() == list(range(7))
    assert split.labels.dtype == np.int64
    assert split.samples.tolist() == list(range(10, 17))
    assert len(split) == 7


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), max_size=8))
def test_what_is_taken_back_was_never_written(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("array") / "a.npy"
    writer, kept = ArrayWriter(path, (2,), "<i2"), np.empty((0, 2), np.int16)
    for count, keep in steps:
        values = np.full((count, 2), len(kept), np.int16)
        writer.add(values)
        kept = np.concatenate([kept, values])[:keep]
        writer.keep(len(kept))
    writer.close()
    np.testing.assert_array_equal(np.load(path, allow_pickle=False), kept)


def test_pixels_are_channels_first_in_0_to_1(tmp_path):
    images = written(tmp_path)
    pixels = open_split(tmp_path, "train").pixels(np.array([5, 2]))
    assert pixels.dtype == np.float32
    assert np.array_equal(pixels, (images[[5, 2]] / np.float32(255)).transpose(0, 3, 1, 2))


def test_a_mapped_split_travels_to_a_process_by_its_path(tmp_path):
    images = written(tmp_path)
    parcel = pickle.dumps(open_split(tmp_path, "train"))
    assert len(parcel) < 500
    assert np.array_equal(pickle.loads(parcel).images, images)


def test_a_split_in_memory_travels_whole():
    split = ImageSplit(np.ones((2, 8, 8, 1), np.uint8), np.array([0, 1]))
    assert np.array_equal(pickle.loads(pickle.dumps(split)).images, split.images)
