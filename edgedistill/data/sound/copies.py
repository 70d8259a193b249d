"""Windows that are in an earlier split too are left out where the splits were drawn here."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.image.duplicates import Twin
from edgedistill.data.sound.writing import SoundWritten


def leave_out_copies(
    twins: Sequence[Twin], written: SoundWritten, out: Path, drawn: Sequence[str]
) -> tuple[list[Twin], tuple[str, ...]]:
    """Take windows out of the `drawn` splits that an earlier split holds too, on disk and in
    `written`; returns the twins that are left, and what was done, in sentences.

    A given test set stays as it is. So does a class of which nothing would be left.
    """
    left, notes = list(twins), []
    for split in drawn:
        labels = written.labels[split]
        lost = np.zeros(len(labels), np.bool_)
        lost[[each.held for each in left if each.second == split]] = True
        for label in np.unique(labels[lost]):
            if lost[labels == label].all():
                lost[labels == label] = False
        if not lost.any():
            continue
        first = written.name_of(split, int(np.argmax(lost)))
        notes.append(
            f"{lost.sum()} of {len(lost)} {split} clips are in an earlier split too, exactly or "
            f"nearly, and left out of {split} (first {first})"
        )
        _rewrite(out / split, ~lost)
        written.labels[split] = labels[~lost]
        written.called[split] = [
            name for name, gone in zip(written.called[split], lost, strict=True) if not gone
        ]
        left = _without(left, split, lost)
    return left, tuple(notes)


def _rewrite(folder: Path, kept: NDArray[np.bool_]) -> None:
    for name in ("windows", "labels", "samples", "gains"):
        path = folder / f"{name}.npy"
        np.save(path, np.load(path, allow_pickle=False)[kept])


def _without(twins: Sequence[Twin], split: str, lost: NDArray[np.bool_]) -> list[Twin]:
    """Those of other windows, numbered as they are now."""
    place = np.cumsum(~lost) - 1
    found = []
    for each in twins:
        if each.second == split and not lost[each.held]:
            found.append(dataclasses.replace(each, held=int(place[each.held])))
        elif each.first == split and not lost[each.known]:
            found.append(dataclasses.replace(each, known=int(place[each.known])))
        elif split not in (each.first, each.second):
            found.append(each)
    return found
