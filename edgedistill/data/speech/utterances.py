"""A split of utterances on disk: recordings end to end, and what is said in each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import read_json
from edgedistill.data.sound.decode import as_floats
from edgedistill.data.split import Floats

TEXTS, SPEAKERS, NAMES = "texts", "speakers", "names"
"""Files of JSON, a list each, and fields of `Utterances`."""


@dataclass(frozen=True)
class Utterances:
    """Recordings with or without a transcript, mapped from disk where they lie there."""

    audio: NDArray[np.int16]
    """All recordings end to end."""
    offsets: NDArray[np.int64]
    """(utterances + 1,): where each begins in `audio`."""
    texts: tuple[str | None, ...]
    """What is said in each: empty where that is nothing, None where nobody knows."""
    speakers: tuple[str | None, ...]
    """Who speaks in each; None where nobody knows."""
    names: tuple[str, ...]
    """What a person finds each by."""
    rate: int
    """Samples a second."""
    window: int
    """What a model hears, in samples."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(utterances,), in samples."""
        return np.diff(self.offsets)

    @property
    def seconds(self) -> NDArray[np.float64]:
        """(utterances,): how long each is."""
        return self.lengths / self.rate

    def samples(self, utterance: int) -> Floats:
        """(samples,) float32 in -1..1: all of one. Raises IndexError: there is no such one."""
        return self._first(utterance, None)

    def inputs(self, ids: NDArray[np.int64]) -> dict[str, Floats]:
        """`samples`, float32 (batch, window) in -1..1: each from its beginning, silence after it;
        what is longer is cut."""
        found = np.zeros((len(ids), self.window), np.float32)
        for row, utterance in zip(found, ids.tolist(), strict=True):
            held = self._first(utterance, self.window)
            row[: len(held)] = held
        return {"samples": found}

    def _first(self, utterance: int, most: int | None) -> Floats:
        at = range(len(self))[utterance]
        return as_floats(np.asarray(self.audio[self.offsets[at] : self.offsets[at + 1]][:most]))

    def __reduce__(self) -> tuple[Callable[..., Utterances], tuple[Any, ...]]:
        # A worker process maps the file again; pickling the map would copy all sound.
        if isinstance(self.audio, np.memmap):
            folder = Path(str(self.audio.filename)).parent
            return open_utterances, (folder.parent, folder.name)
        return Utterances, tuple(getattr(self, name) for name in self.__dataclass_fields__)


def open_utterances(folder: Path, split: str) -> Utterances:
    """A split, such as `train`, that `prepare_speech` left in a folder. Raises FileNotFoundError:
    there is none of that name."""
    place = folder / split
    rate, window = np.load(place / "form.npy", allow_pickle=False).tolist()
    lists = {name: tuple(read_json(place / f"{name}.json")) for name in (TEXTS, SPEAKERS, NAMES)}
    return Utterances(
        audio=np.load(place / "audio.npy", mmap_mode="r", allow_pickle=False),
        offsets=np.load(place / "offsets.npy", allow_pickle=False),
        rate=rate,
        window=window,
        **lists,
    )
