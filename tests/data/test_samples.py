from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgedistill.data import Split, View
from edgedistill.data.samples import calibration


class Numbers(Split):
    """Each sample is its own number."""

    def __init__(self, count: int) -> None:
        self.labels = np.arange(count)

    def inputs(
        self, ids: NDArray[np.int64], view: View | None = None
    ) -> dict[str, NDArray[np.float32]]:
        assert view is None
        return {"number": ids.astype(np.float32)}


def drawn(count: int, samples: int, seed: int = 0) -> list[NDArray[np.float32]]:
    return [each.numpy() for (each,) in calibration(Numbers(count), samples, seed)]


def test_calibration_is_drawn_by_the_seed_in_order_and_in_batches() -> None:
    batches = drawn(1000, 100)
    assert [len(each) for each in batches] == [64, 36]
    numbers = np.concatenate(batches)
    assert (np.diff(numbers) > 0).all()
    assert (np.concatenate(drawn(1000, 100)) == numbers).all()
    assert (np.concatenate(drawn(1000, 100, seed=1)) != numbers).any()


def test_of_few_samples_all_are_taken() -> None:
    assert np.concatenate(drawn(10, 512)).tolist() == list(range(10))
