"""What lies in more than one split: said, counted, and shown in a few examples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from edgedistill.data.image import duplicates
from edgedistill.data.split import Split
from edgedistill.data.splits import SPLITS
from edgedistill.data.writing import AT_ONCE, Written
from edgedistill.progress import Reporter
from edgedistill.records import Duplicates, Twin

EXAMPLES = 20


def same_arrays(splits: dict[str, Split]) -> list[duplicates.Twin]:
    """For each sample of a later split one in each earlier one that is exactly the same, if there
    is any. What is nearly the same is not looked for: arrays have no common measure of that."""
    digests = {name: list(_digests(split)) for name, split in splits.items()}
    found = []
    for at, first in enumerate(SPLITS):
        known = {digest: place for place, digest in enumerate(digests[first])}
        for second in SPLITS[at + 1 :]:
            found += [
                duplicates.Twin(first, second, known[digest], held, True)
                for held, digest in enumerate(digests[second])
                if digest in known
            ]
    return found


def _digests(split: Split) -> Iterator[bytes]:
    for start in range(0, len(split), AT_ONCE):
        ids = np.arange(start, min(start + AT_ONCE, len(split)))
        for sample in zip(*split.inputs(ids).values(), strict=True):
            content = b"".join(values.tobytes() for values in sample)
            yield hashlib.blake2b(content, digest_size=16).digest()


def describe(twins: list[duplicates.Twin], written: Written, classes: Sequence[str]) -> Duplicates:
    """Counts of samples of the second split that are in the first too, and examples."""
    pairs = [(a, b) for at, a in enumerate(SPLITS) for b in SPLITS[at + 1 :]]
    counts = {
        kind: {
            f"{a}/{b}": sum((t.first, t.second, t.exact) == (a, b, exact) for t in twins)
            for a, b in pairs
        }
        for kind, exact in (("exact", True), ("near", False))
    }
    examples = (
        Twin(
            exact=twin.exact,
            classes=(
                _named(classes, written.labels[twin.first][twin.known]),
                _named(classes, written.labels[twin.second][twin.held]),
            ),
            **{
                twin.first: written.name_of(twin.first, twin.known),
                twin.second: written.name_of(twin.second, twin.held),
            },
        )
        for twin in _spread(twins)
    )
    return Duplicates(**counts, examples=tuple(examples))


def _named(classes: Sequence[str], label: Any) -> str | tuple[float, ...] | None:
    if np.ndim(label):
        return None if np.isnan(label).any() else tuple(label.tolist())
    return classes[int(label)] if label >= 0 else None


def _spread(twins: list[duplicates.Twin]) -> list[duplicates.Twin]:
    """A few of each kind and pair of splits."""
    groups: dict[tuple[str, str, bool], list[duplicates.Twin]] = {}
    for twin in twins:
        groups.setdefault((twin.first, twin.second, twin.exact), []).append(twin)
    return [twin for group in groups.values() for twin in group[: EXAMPLES // 4]]


def say(found: Duplicates, written: Written, what: str, reporter: Reporter) -> None:
    """A line for each pair of splits that share any; what: `images`, or `samples`."""
    for pair, exact in found.exact.items():
        near = found.near[pair]
        if exact + near:
            first, second = pair.split("/")
            total = len(written.labels[second])
            names = ((getattr(each, first), getattr(each, second)) for each in found.examples)
            one = next(
                second_name for first_name, second_name in names if first_name and second_name
            )
            reporter.say(
                f"data: {exact + near} of {total} {second} {what} are in {first} too "
                f"({exact} exactly, {near} nearly), such as {one}; the report "
                "gives the path of a list"
            )
