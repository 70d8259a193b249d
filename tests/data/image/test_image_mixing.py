from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgedistill.data import View
from edgedistill.data.image import mixing
from edgedistill.data.splits import ImageSplit
from edgedistill.recipe import Augment

MIXUP, CUTMIX = Augment(mixup=1.0), Augment(cutmix=1.0)
IDS = np.arange(40)


def split(size: int = 12, channels: int = 3, meant: tuple[int, int] | None = None) -> ImageSplit:
    images = np.random.default_rng(0).integers(0, 256, (40, size, size, channels), np.uint8)
    return ImageSplit(images, IDS % 4, None, meant)


def pixels(of: ImageSplit, ids: np.ndarray, augment: Augment, view: int = 0) -> np.ndarray:
    return of.inputs(ids, View(augment, 3, view))["pixels"]


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([MIXUP, CUTMIX, Augment(mixup=0.4, cutmix=0.3, flip=True, shift=2)]),
    st.sampled_from([1, 3, 5]),
    st.permutations(range(40)),
)
def test_a_mixed_view_does_not_depend_on_the_rest_of_the_batch(augment, channels, order):
    images = split(channels=channels)
    whole = pixels(images, IDS, augment)
    assert np.array_equal(pixels(images, IDS[order], augment), whole[order])
    for at in range(0, 40, 7):
        assert np.array_equal(pixels(images, IDS[at : at + 1], augment)[0], whole[at])


def test_mixup_blends_by_the_share_that_is_told():
    images = split()
    mix = images.mix(IDS, View(MIXUP, 3))
    assert mix is not None
    plain = images.pixels(IDS)
    share = mix.shares[:, None, None, None]
    blended = (1 - share) * plain + share * images.pixels(mix.others)
    assert np.allclose(pixels(images, IDS, MIXUP), blended, atol=1e-6)
    assert mix.shares.min() < 0.1
    assert mix.shares.max() > 0.9


def test_cutmix_covers_the_share_that_is_told():
    images = split()
    mix = images.mix(IDS, View(CUTMIX, 3))
    assert mix is not None
    own, other = images.pixels(IDS), images.pixels(mix.others)
    made = pixels(images, IDS, CUTMIX)
    foreign = (made != own).any(axis=1).mean(axis=(1, 2))
    assert np.all((made == own) | (made == other))
    apart = mix.others != IDS
    assert np.allclose(foreign[apart], mix.shares[apart], atol=0.01)


def test_what_is_mixed_in_is_changed_as_it_is_alone():
    augment = Augment(shift=3, flip=True, mixup=1.0)
    images = split()
    mix = images.mix(IDS, View(augment, 3))
    assert mix is not None
    alone = augment.unmixed()
    share = mix.shares[:, None, None, None]
    blended = (1 - share) * pixels(images, IDS, alone)
    blended += share * pixels(images, mix.others, alone)
    assert np.allclose(pixels(images, IDS, augment), blended, atol=1e-6)


def test_shares_of_the_images_are_mixed_one_way_or_the_other():
    ids = np.arange(10_000)
    mix = mixing.drawn(ids, 10_000, 0, 0, Augment(mixup=0.3, cutmix=0.2), (32, 32))
    assert mix is not None
    boxed = mix.boxes[:, 1] > mix.boxes[:, 0]
    assert (mix.shares > 0).mean() == pytest.approx(0.5, abs=0.03)
    assert (boxed & (mix.shares > 0)).mean() == pytest.approx(0.2, abs=0.03)


def test_seed_and_view_change_what_is_mixed():
    first = mixing.drawn(IDS, 40, 0, 0, CUTMIX, (8, 8))
    assert first is not None
    for seed, view in ((1, 0), (0, 1)):
        other = mixing.drawn(IDS, 40, seed, view, CUTMIX, (8, 8))
        assert other is not None
        assert not np.array_equal(first.others, other.others)
        assert not np.array_equal(first.shares, other.shares)


def test_the_same_images_in_another_size_are_mixed_alike():
    small, large = split(), split(24, meant=(12, 12))
    for augment in (MIXUP, CUTMIX):
        one, two = (each.mix(IDS, View(augment, 3)) for each in (small, large))
        assert one is not None
        assert two is not None
        assert np.array_equal(one.others, two.others)
        assert np.array_equal(one.shares, two.shares)
    own, other = large.pixels(IDS), pixels(large, IDS, CUTMIX)
    changed = (own != other).any(axis=1)
    assert np.array_equal(changed[:, ::2, ::2], changed[:, 1::2, 1::2])


def test_nothing_is_mixed_where_nobody_asks():
    assert split().mix(IDS, View(Augment(flip=True), 0)) is None
