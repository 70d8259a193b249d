from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest
import torch

from edgedistill.data import ImageSplit, Split, batches, open_split, splits
from edgedistill.data.image import augment
from edgedistill.data.loading import worker_count
from edgedistill.data.splits import image_writer
from edgedistill.recipe import Augment

ORDER = [np.array([3, 0, 7]), np.array([1, 2, 9]), np.array([4])]
CHANGES = Augment(shift=2, flip=True)


@pytest.fixture
def split(tmp_path) -> Split:
    images = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), np.uint8)
    writer = image_writer(tmp_path / "train", (8, 8, 3))
    writer.add([images], np.arange(10) % 3, np.arange(10))
    writer.close()
    return open_split(tmp_path, "train")


def test_batches_come_in_order_with_ids_pixels_and_labels(split):
    loader = batches(split, ORDER, view=2, seed=5, augment=CHANGES)

    for ids, (got, (pixels,), labels) in zip(ORDER, loader, strict=True):
        assert got.tolist() == ids.tolist()
        assert labels.tolist() == (ids % 3).tolist()
        assert labels.dtype == torch.int64
        expected = augment.view(split.images[ids], ids, 5, 2, CHANGES)
        assert torch.equal(pixels, torch.from_numpy(expected))
        assert pixels.is_contiguous(memory_format=torch.channels_last)


def test_without_augmentation_the_images_come_as_they_are(split):
    _, (pixels,), _ = next(iter(batches(split, ORDER)))
    assert torch.equal(pixels, torch.from_numpy(split.pixels(ORDER[0])))


def test_threads_give_the_same(split):
    here = list(batches(split, ORDER, 1, 5, CHANGES, workers=0))
    there = list(batches(split, ORDER, 1, 5, CHANGES, workers=2))
    for a, b in zip(here, there, strict=True):
        assert torch.equal(a[0], b[0]) and torch.equal(a[2], b[2])
        assert torch.equal(a[1][0], b[1][0])
        assert b[1][0].is_contiguous(memory_format=torch.channels_last)


def test_torchs_random_state_is_left_alone(split):
    before = torch.get_rng_state()
    list(batches(split, ORDER))
    assert torch.equal(torch.get_rng_state(), before)


def test_small_images_start_no_threads():
    def of_size(size: int) -> Split:
        return ImageSplit(np.zeros((1, size, size, 3), np.uint8), np.zeros(1, np.int64))

    assert worker_count(of_size(32), None, 100) == 0
    assert worker_count(of_size(96), None, 100) >= 1
    assert worker_count(of_size(96), 5, 2) == 2


def test_no_process_is_forked_where_threads_may_run(split, monkeypatch):
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("forked"))
    before = signal.getsignal(signal.SIGCHLD)
    assert len(list(batches(split, ORDER, 1, 5, CHANGES, workers=3))) == len(ORDER)
    assert signal.getsignal(signal.SIGCHLD) == before


def test_only_a_few_batches_are_read_ahead(split, monkeypatch):
    begun = []
    honest = splits.changed_view
    monkeypatch.setattr(
        splits,
        "changed_view",
        lambda images, ids, *rest: begun.append(ids) or honest(images, ids, *rest),
    )
    order = [np.array([number % 10]) for number in range(50)]
    loader = batches(split, order, augment=CHANGES, workers=2)
    next(loader)
    loader.close()
    assert len(begun) <= 5
    assert not [each for each in threading.enumerate() if each.name.startswith("edgedistill")]


def test_a_failure_while_reading_comes_out_and_leaves_no_thread(split, monkeypatch):
    def broken(*_):
        raise OSError("the disk is gone")

    monkeypatch.setattr(splits, "changed_view", broken)
    with pytest.raises(OSError, match="the disk is gone"):
        list(batches(split, ORDER, augment=CHANGES, workers=2))
    assert not [each for each in threading.enumerate() if each.name.startswith("edgedistill")]
