"""What becomes of training samples on which the teacher is not to be believed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import read_json, write_json
from edgedistill.recipe import JudgeConfig

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]
Codes = NDArray[np.uint8]


class LabelUse(IntEnum):
    """How an answer counts. The values are stored: never renumber."""

    KEEP = 0
    WEIGH = 1
    LABELS = 2
    DROP = 3


def label_uses(wanted: JudgeConfig, logits: Floats, agreement: Floats, labels: Ids) -> Codes:
    """A `LabelUse` for each answer; of several reasons the one that weighs most counts.

    logits: (samples, classes); agreement: (samples,); labels: (samples,), -1 where unknown, so
    that nobody can say whether the answer is wrong.
    """
    ordered = np.partition(_probabilities(logits), -2, axis=1)
    unsure = ordered[:, -1] - ordered[:, -2] < wanted.margin
    wrong = (logits.argmax(axis=1) != labels) & (labels >= 0)
    codes = np.zeros(len(labels), np.uint8)
    for here, action in (
        (wrong, wanted.wrong),
        (unsure, wanted.unsure),
        (agreement < 1.0 - 1e-3, wanted.disagreeing),
    ):
        codes[here] = np.maximum(codes[here], LabelUse[action.upper()])
    # Where the label is unknown, it cannot stand in for the teacher.
    codes[(codes == LabelUse.LABELS) & (labels < 0)] = LabelUse.DROP
    return codes


def _probabilities(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


@dataclass(frozen=True)
class LabelFilter:
    """How far to believe each stored answer, and how peaked the answers are."""

    codes: Codes
    """(views, samples), of `LabelUse`."""
    weight: float
    """How far the teacher counts where the code is `WEIGH`."""
    temperature: float
    """To divide the answers by, so that their confidence is what they get right."""

    def __call__(self, ids: Ids, view: int) -> Ids:
        """(batch,), int64, for samples `ids` as they look in `view`."""
        codes: Ids = self.codes[view % len(self.codes), ids].astype(np.int64)
        return codes

    def save(self, folder: Path) -> None:
        """Write what `open_label_filter` reads: `label_uses.npy` and `label_uses.json`."""
        np.save(folder / "label_uses.npy", self.codes)
        write_json(
            folder / "label_uses.json", {"weight": self.weight, "temperature": self.temperature}
        )


def open_label_filter(folder: Path) -> LabelFilter:
    """What `LabelFilter.save` left in `folder`."""
    codes = np.load(folder / "label_uses.npy", mmap_mode="r")
    return LabelFilter(codes, **read_json(folder / "label_uses.json"))
