"""What a student's encoder makes of a split, computed once where it is not trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgedistill.transcribing.labelling import encoded

if TYPE_CHECKING:
    from edgedistill.distill.speech.learning import Lessons
    from edgedistill.models.whisper.network import Whisper

_BATCH = 8


def heard(
    model: Whisper, lessons: Lessons, path: Path, precision: str, tick: Callable[[int, int], None]
) -> NDArray[np.float16]:
    """(utterances, positions, width) in the file at `path`, of those that are learned from; others
    are zero. Batches that an interrupted run has computed are there already.

    precision: of the encoder, `fp32` or `bf16`.
    """
    from numpy.lib.format import open_memmap

    done = path.with_suffix(".done")
    size = (len(lessons.split), model.shape.positions, model.shape.width)
    found = open_memmap(path, "r+" if done.exists() else "w+", np.float16, size)
    first = int(done.read_text()) if done.exists() else 0
    for at in range(first, len(lessons.ids), _BATCH):
        ids = lessons.ids[at : at + _BATCH]
        found[ids] = encoded(model, lessons.split, ids, precision).numpy()
        found.flush()
        done.write_text(str(at + len(ids)))
        tick(at + len(ids), len(lessons.ids))
    return found
