"""What an epoch takes where there is much more of one class than of the others, and what of mixed
samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from edgedistill.data import View
from edgedistill.data.splits import ArraySplit, ImageSplit
from edgedistill.recipe import Augment, SoundAugment
from edgedistill.records import SoundForm
from edgedistill.training_inputs import TrainingInputs, parted

LABELS = np.array([0, 1, 0] + [2] * 97)
UNKNOWN = 2


def form(per_clip: float, unknown: int | None = UNKNOWN) -> SoundForm:
    return SoundForm(8000, 800, "spoken", unknown, None, per_clip, False)


def inputs(per_clip: float, only: np.ndarray | None = None) -> TrainingInputs:
    split = ArraySplit({"samples": np.zeros((len(LABELS), 8), np.float32)}, LABELS)
    only, plenty, drawn = parted(LABELS, only, form(per_clip))
    return TrainingInputs(split, SoundAugment(), seed=0, only=only, plenty=plenty, drawn=drawn)


def test_an_epoch_takes_each_clip_and_draws_from_the_rest() -> None:
    given = inputs(per_clip=5)
    assert len(given) == 3 + 15
    epochs = [np.concatenate(given.order(2, epoch)) for epoch in range(12)]
    for taken in epochs:
        assert len(taken) == len(set(taken.tolist())) == 18
        assert (LABELS[taken] != UNKNOWN).sum() == 3
    assert len(set(np.concatenate(epochs).tolist())) > 75, "each time others"
    assert (np.concatenate(given.order(2, 4)) == epochs[4]).all(), "the same once more"


def test_only_what_is_labelled_is_drawn() -> None:
    given = inputs(per_clip=5, only=np.arange(50))
    assert max(np.concatenate([np.concatenate(given.order(2, epoch)) for epoch in range(9)])) == 49


@pytest.mark.parametrize(("per_clip", "unknown"), [(97 / 3, UNKNOWN), (1e6, UNKNOWN), (1, None)])
def test_where_there_is_no_more_all_is_taken(per_clip: float, unknown: int | None) -> None:
    assert parted(LABELS, None, form(per_clip, unknown)) == (None, None, 0)
    assert parted(LABELS, None, None) == (None, None, 0)


def test_a_mixed_batch_has_its_labels_shares_and_the_images_that_were_answered() -> None:
    random = np.random.default_rng(0)
    labels = np.array([0, 1, 2, -1] * 5)
    images = ImageSplit(random.integers(0, 256, (20, 8, 8, 3), np.uint8), labels)
    augment = Augment(flip=True, cutmix=0.5, mixup=0.3, randaugment=1)
    given = TrainingInputs(images, augment, seed=4, names=3)
    (batch,) = given.batches([np.arange(20)], 2, torch.device("cpu"))
    view = View(augment, 4, 2)
    mix = images.mix(batch.ids, view)
    assert mix is not None
    asked = images.inputs(batch.ids, view)["pixels"]
    assert np.array_equal(batch.inputs[0].numpy(), asked)
    assert batch.target.shape == (20, 3)
    known = (labels >= 0) * (1 - mix.shares) + (labels[mix.others] >= 0) * mix.shares
    assert np.allclose(batch.target.sum(1).numpy(), known)
    alone = mix.shares == 0
    assert np.array_equal(batch.target.argmax(1).numpy()[alone & (labels >= 0)],
                          labels[alone & (labels >= 0)])  # fmt: skip
