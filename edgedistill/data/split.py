"""What a split is, whatever its samples are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.recipe import Changes

if TYPE_CHECKING:
    from edgedistill.data.image.mixing import Mix

Labels = NDArray[Any]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """One of the random looks that training has at its samples."""

    augment: Changes
    seed: int
    number: int = 0


class Split:
    """Samples of one kind: what a model takes of them, and what it should answer."""

    labels: Labels
    """(samples,), int64, a class, -1 where nobody knows; or (samples, values), float32, NaN where
    nobody knows."""
    numbers: NDArray[np.int64] | None
    """(samples,), each one's place in the user's own data."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def samples(self) -> NDArray[np.int64]:
        """(samples,): `numbers`, or for those that come from nowhere else their own places."""
        return np.arange(len(self)) if self.numbers is None else self.numbers

    def inputs(self, ids: NDArray[np.int64], view: View | None = None) -> dict[str, Floats]:
        """What a model is called with, by name and in order: float32 (batch, ...), as it is or, of
        pictures and sound, as `view` changes it."""
        raise NotImplementedError

    def mix(self, ids: NDArray[np.int64], view: View) -> Mix | None:
        """What `view` shows of other samples in those of `ids` (batch,); None for nothing."""
        return None

    @property
    def sample_bytes(self) -> int:
        """Of what a model takes of one sample."""
        raise NotImplementedError

    @property
    def quick(self) -> bool:
        """Whether samples are read, and changed, in no time."""
        raise NotImplementedError
