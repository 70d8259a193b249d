"""What labels a task has: how they are checked, counted and drawn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgedistill.errors import UserError
from edgedistill.tasks import strata

Labels = NDArray[Any]
Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]
Ranks = NDArray[np.float64]
Shares = NDArray[np.float32]
NameOf = Callable[[int], str]
"""What a person finds a sample by."""


def known(labels: Labels) -> Mask:
    """(samples,): where the label is known. It is unknown where it is -1, or NaN among values."""
    if labels.ndim == 1:
        return np.greater_equal(labels, 0)
    return np.asarray(~np.isnan(labels).any(axis=1), np.bool_)


class LabelForm(Protocol):
    """How a task's labels look. A method that checks raises UserError, naming the first sample."""

    def convert(self, labels: Labels, name: NameOf) -> Labels:
        """As a source read them, (samples,) int64 or (samples, values) float32, in this form."""

    def check(self, labels: Labels, names: Sequence[str], name: NameOf) -> None:
        """Raises UserError: a label that is none of `names`, or not as many values as these."""

    def check_given(self, labels: Labels, samples: int, names: Sequence[str]) -> Labels:
        """An array that a caller gives beside `samples` images, in this form: (samples,), or
        (samples, values). Raises UserError: it is none."""

    def unknown(self, samples: int, names: Sequence[str]) -> Labels:
        """Labels of samples whose label is unknown: (samples,), or (samples, values)."""

    def counts(self, labels: Labels, names: Sequence[str]) -> Counts | None:
        """(names,): the samples of each; None where labels are nothing to count."""

    def mixed(self, own: Labels, other: Labels, shares: Shares, names: int) -> Labels:
        """Labels (samples,) or (samples, values) with others, of which each has its share
        (samples,): (samples, names), float32."""

    def answered(self, own: Labels, other: Labels, shares: Shares, outputs: Labels) -> Labels:
        """What a teacher's outputs (samples, names) to mixed samples are held against, in this
        form; the rest as of `mixed`."""

    def must_occur(self, split: str) -> bool:
        """Whether a split without a sample of some label is a mistake."""

    def held_out(self, labels: Labels, share: float, ranks: Ranks) -> Mask:
        """(samples,): about `share` of the samples, as like the rest as labels tell."""

    def limited(self, labels: Labels, limit: int, ranks: Ranks) -> Mask:
        """(samples,): at most `limit` of the samples."""


class OneClass:
    """(samples,), int64: a class, -1 where it is unknown."""

    def convert(self, labels: Labels, name: NameOf) -> Labels:
        """(samples,), as they are. Raises UserError: several values for a sample."""
        if labels.ndim == 1:
            return labels
        raise UserError(
            f"{name(0)}: its label is {labels[0].tolist()}; a class, as a whole number, is meant",
            "number the classes from 0; or say `task: multilabel` or `task: regression`",
        )

    def check(self, labels: Labels, names: Sequence[str], name: NameOf) -> None:
        """Raises UserError: a label (samples,) outside 0..len(names) - 1."""
        outside = np.flatnonzero((labels < 0) | (labels >= len(names)))
        if len(outside):
            first = int(outside[0])
            raise UserError(
                f"{name(first)}: label {labels[first]} is outside the {len(names)} classes "
                f"(0..{len(names) - 1}); {len(outside)} such in all",
                "mend the labels, or list every class in `data.classes`",
            )

    def check_given(self, labels: Labels, samples: int, names: Sequence[str]) -> Labels:
        """As it is. Raises UserError: no integers (samples,), or outside the classes, as -1 is."""
        if labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise UserError(
                f"labels are {labels.dtype} of shape {labels.shape}",
                "give one integer for each image, a place in the bundle's list of labels",
            )
        if samples != len(labels):
            raise UserError(f"{samples} images, but {len(labels)} labels", "give one for each")
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(names):
            raise UserError(
                f"labels run from {labels.min()} to {labels.max()}; "
                f"the bundle knows {len(names)} classes",
                "number them from 0, in the order of the bundle's labels",
            )
        return labels

    def unknown(self, samples: int, names: Sequence[str]) -> Labels:
        """(samples,), -1."""
        return np.full(samples, -1, np.int64)

    def counts(self, labels: Labels, names: Sequence[str]) -> Counts | None:
        """(classes,), int64, of the labels that are known."""
        return np.bincount(labels[known(labels)], minlength=len(names)).astype(np.int64)

    def mixed(self, own: Labels, other: Labels, shares: Shares, names: int) -> Labels:
        """(samples, names): each row's sum is 1, less the share of a label that is unknown."""
        mixed, everyone = np.zeros((len(own), names), np.float32), np.arange(len(own))
        for labels, part in ((own, 1.0 - shares), (other, shares)):
            here = known(labels)
            mixed[everyone[here], labels[here]] += part[here]
        return mixed

    def answered(self, own: Labels, other: Labels, shares: Shares, outputs: Labels) -> Labels:
        """(samples,): the one of a sample's two labels that is answered, else the larger one's."""
        answer = outputs.argmax(axis=1)
        either = (answer == own) | ((answer == other) & (shares > 0))
        return np.where(either, answer, np.where(shares > 0.5, other, own))

    def must_occur(self, split: str) -> bool:
        """In every split."""
        return True

    def held_out(self, labels: Labels, share: float, ranks: Ranks) -> Mask:
        """(samples,): the same share of each class; ranks: (samples,), who goes first."""
        return strata.held_out(strata.classes(labels), share, ranks)

    def limited(self, labels: Labels, limit: int, ranks: Ranks) -> Mask:
        """(samples,): as many of each class as there are; ranks: (samples,), who goes first."""
        return strata.balanced(strata.classes(labels), limit, ranks)


@dataclass(frozen=True)
class Values:
    """(samples, values), float32: NaN where they are unknown."""

    wanted: str = "give numbers"
    """What a message asks for."""

    def wrong(self, labels: Labels) -> Mask:
        """(samples, values): what is no value of this kind."""
        return np.asarray(~np.isfinite(labels), np.bool_)

    def convert(self, labels: Labels, name: NameOf) -> Labels:
        """(samples, values), float32; one number for each sample is a column."""
        return labels.astype(np.float32).reshape(len(labels), -1)

    def check(self, labels: Labels, names: Sequence[str], name: NameOf) -> None:
        """labels: (samples, values). Raises UserError: not a value for each name, or one that is
        `wrong`."""
        if labels.shape[1] != len(names):
            raise UserError(
                f"{name(0)}: {labels.shape[1]} values for the {len(names)} names in `data.classes`",
                "give a name for each value",
            )
        wrong = self.wrong(labels).any(axis=1)
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            raise UserError(
                f"{name(first)}: label {labels[first].tolist()}; {int(wrong.sum())} such in all",
                self.wanted,
            )

    def check_given(self, labels: Labels, samples: int, names: Sequence[str]) -> Labels:
        """As float32. Raises UserError: no numbers (samples, values)."""
        wanted = samples, len(names)
        if labels.shape != wanted or labels.dtype.kind not in "biuf":
            raise UserError(
                f"labels are {labels.dtype} of shape {labels.shape}, expected numbers {wanted}",
                f"give for each image its values: {', '.join(names)}",
            )
        return labels.astype(np.float32)

    def unknown(self, samples: int, names: Sequence[str]) -> Labels:
        """(samples, values), NaN."""
        return np.full((samples, len(names)), np.nan, np.float32)

    def counts(self, labels: Labels, names: Sequence[str]) -> Counts | None:
        """None: there is nothing to count."""
        return None

    def mixed(self, own: Labels, other: Labels, shares: Shares, names: int) -> Labels:
        """(samples, values): between the two; NaN where one that has a share is."""
        parts = shares[:, None]
        return np.where(parts > 0, own + (other - own) * parts, own).astype(np.float32)

    def answered(self, own: Labels, other: Labels, shares: Shares, outputs: Labels) -> Labels:
        """(samples, values): the larger value of the two, as what belongs to either belongs."""
        return np.where(shares[:, None] > 0, np.maximum(own, other), own)

    def must_occur(self, split: str) -> bool:
        """Nowhere."""
        return False

    def held_out(self, labels: Labels, share: float, ranks: Ranks) -> Mask:
        """The samples of the least ranks (samples,), whatever their labels."""
        return strata.held_out([np.arange(len(labels))], share, ranks)

    def limited(self, labels: Labels, limit: int, ranks: Ranks) -> Mask:
        """The samples of the least ranks (samples,), whatever their labels."""
        return strata.balanced([np.arange(len(labels))], limit, ranks)


@dataclass(frozen=True)
class ManyClasses(Values):
    """(samples, classes), float32: 1 where the class belongs to the sample, else 0."""

    wanted: str = "give 0 or 1 for each class"

    def wrong(self, labels: Labels) -> Mask:
        """(samples, classes): neither 0 nor 1."""
        return np.asarray((labels != 0) & (labels != 1), np.bool_)

    def counts(self, labels: Labels, names: Sequence[str]) -> Counts | None:
        """(classes,), int64: how many known samples each class belongs to."""
        return np.asarray(np.count_nonzero(labels[known(labels)], axis=0), np.int64)

    def must_occur(self, split: str) -> bool:
        """In train and test."""
        # What is rare beside other labels may be missing where choices are made, not elsewhere.
        return split != "validation"

    def held_out(self, labels: Labels, share: float, ranks: Ranks) -> Mask:
        """(samples,): the same share of each class, as far as can be; see `strata.iterative`."""
        count = max(0, min(max(1, round(share * len(labels))), len(labels) - 1))
        return strata.iterative(labels, count, ranks)

    def limited(self, labels: Labels, limit: int, ranks: Ranks) -> Mask:
        """(samples,): the same share of each class, as far as can be; see `strata.iterative`."""
        return strata.iterative(labels, min(limit, len(labels)), ranks)
