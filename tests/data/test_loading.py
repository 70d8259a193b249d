from __future__ import annotations

import signal

import numpy as np
import pytest
import torch

from edgedistill.data import Split, augment, batches, open_split
from edgedistill.data.loading import worker_count
from edgedistill.data.splits import SplitWriter
from edgedistill.recipe import Augment

ORDER = [np.array([3, 0, 7]), np.array([1, 2, 9]), np.array([4])]
CHANGES = Augment(shift=2, flip=True)


@pytest.fixture
def split(tmp_path) -> Split:
    images = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), np.uint8)
    writer = SplitWriter(tmp_path / "train", 8, 3)
    writer.add(images, np.arange(10) % 3, np.arange(10))
    writer.close()
    return open_split(tmp_path, "train")


def test_batches_come_in_order_with_ids_pixels_and_labels(split):
    loader = batches(split, ORDER, view=2, seed=5, augment=CHANGES)

    for ids, (got, pixels, labels) in zip(ORDER, loader, strict=True):
        assert got.tolist() == ids.tolist()
        assert labels.tolist() == (ids % 3).tolist()
        assert labels.dtype == torch.int64
        expected = augment.view(split.images[ids], ids, 5, 2, CHANGES)
        assert torch.equal(pixels, torch.from_numpy(expected))
        assert pixels.is_contiguous(memory_format=torch.channels_last)


def test_without_augmentation_the_images_come_as_they_are(split):
    _, pixels, _ = next(iter(batches(split, ORDER)))
    assert torch.equal(pixels, torch.from_numpy(split.pixels(ORDER[0])))


def test_worker_processes_give_the_same(split):
    here = list(batches(split, ORDER, 1, 5, CHANGES, workers=0))
    there = list(batches(split, ORDER, 1, 5, CHANGES, workers=2))
    for a, b in zip(here, there, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
        assert b[1].is_contiguous(memory_format=torch.channels_last)


def test_torchs_random_state_is_left_alone(split):
    before = torch.get_rng_state()
    list(batches(split, ORDER))
    assert torch.equal(torch.get_rng_state(), before)


def test_small_images_start_no_processes():
    def of_size(size: int) -> Split:
        return Split(np.zeros((1, size, size, 3), np.uint8), np.zeros(1, np.int64))

    assert worker_count(of_size(32), None, 100) == 0
    assert worker_count(of_size(96), None, 100) >= 1
    assert worker_count(of_size(96), 5, 2) == 2


def test_worker_processes_leave_no_signal_handler_behind(split):
    before = signal.getsignal(signal.SIGCHLD)
    for _ in batches(split, ORDER, workers=1):
        pass
    assert signal.getsignal(signal.SIGCHLD) == before
