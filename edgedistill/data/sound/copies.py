"""Windows that are in an earlier split too are left out where the splits were drawn here."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.image.duplicates import Twin
from edgedistill.data.sound.duplicates import NEARLY, find
from edgedistill.data.sound.split import COPY, NEGATIVE, NOISE, WINDOWS, open_sounds
from edgedistill.data.sound.writing import SoundWritten
from edgedistill.data.splits import SPLITS
from edgedistill.progress import Reporter


def without_copies(
    written: SoundWritten, out: Path, own_test: bool, reporter: Reporter
) -> tuple[list[Twin], tuple[str, ...]]:
    """Take what is in an earlier split too out of those that were drawn here, on disk and in
    `written`; returns the twins that are left, and what was done, in sentences.

    own_test: the test set was given. It stays as it is.
    """
    found = find({name: open_sounds(out, name) for name in SPLITS}, reporter)
    left, notes = _leave_out(found, written, out, SPLITS[1:2] if own_test else SPLITS[1:])
    near = (NEARLY,) if not all(each.exact for each in found) else ()
    return left, (*notes, *near)


def _leave_out(
    twins: Sequence[Twin], written: SoundWritten, out: Path, drawn: Sequence[str]
) -> tuple[list[Twin], tuple[str, ...]]:
    """From the `drawn` splits; a class stays of which nothing would be left."""
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
    """A recording that is no clip, and of which no window is left, is not listened to either."""
    recordings = np.load(folder / WINDOWS, allow_pickle=False)[:, 0]
    kinds = np.load(folder / "kinds.npy", allow_pickle=False)
    gone = np.setdiff1d(recordings[~kept], recordings[kept])
    kinds[gone[np.isin(kinds[gone], (NEGATIVE, NOISE))]] = COPY
    np.save(folder / "kinds.npy", kinds)
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
