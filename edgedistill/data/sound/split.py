"""A split of sound on disk: recordings end to end, and the windows that are its samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.sound import augment
from edgedistill.data.sound.decode import as_floats
from edgedistill.data.split import Floats, Labels, Split, View
from edgedistill.recipe import SoundAugment

WINDOWS, SPEAKERS = "windows.npy", "speakers.json"
CLIP, NEGATIVE, NOISE, DAMAGED, COPY = 0, 1, 2, 3, 4
"""Kinds of recording: of a keyword, or whose class nobody knows; without one; without speech; what
could be read of one that broke off; one without a keyword that an earlier split holds too."""


@dataclass(frozen=True)
class SoundSplit(Split):
    """Windows of recordings, mapped from disk where they lie there."""

    audio: NDArray[np.int16]
    """All recordings end to end."""
    offsets: NDArray[np.int64]
    """(recordings + 1,): where each begins in `audio`."""
    kinds: NDArray[np.int8]
    """(recordings,): `CLIP`, `NEGATIVE`, `NOISE`, or what nobody is to hear."""
    windows: NDArray[np.int64]
    """(samples, 3): the recording, where the window begins in it (below 0: silence comes first),
    and the room by which a random view may begin later."""
    gains: Floats
    """(samples,): what each window is multiplied by; below 1 for quiet made of noise."""
    labels: Labels
    numbers: NDArray[np.int64] | None
    rate: int
    """Samples a second."""
    length: int
    """Of a window, in samples."""

    def inputs(self, ids: NDArray[np.int64], view: View | None = None) -> dict[str, Floats]:
        """`samples`, float32 (batch, length) in -1..1."""
        if view is None:
            return {"samples": np.stack([self._window(int(each)) for each in ids])}
        assert isinstance(view.augment, SoundAugment)
        draws = augment.Draws(view.seed, view.number, ids)
        plan = augment.plan(draws, view.augment, self.rate, self.length)
        rows = [self._changed(int(each), plan[at]) for at, each in enumerate(ids)]
        return {"samples": np.stack(rows)}

    def _window(self, sample: int) -> Floats:
        recording, start, _ = self.windows[sample]
        cut: Floats = self._cut(recording, int(start), self.length) * self.gains[sample]
        return cut

    def _changed(self, sample: int, how: augment.Change) -> Floats:
        recording, start, room = self.windows[sample]
        # What may begin anywhere in its room needs no further shift.
        start = int(start) + (int(how.place * (room + 1)) if room else how.shift)
        wanted = how.stretch(self.length)
        # A faster one ends where it would have ended: the word is there.
        cut = self._cut(recording, start + self.length - wanted, wanted) * self.gains[sample]
        noise = None if self.kinds[recording] == NOISE else self._noise(how)
        return augment.apply(cut, noise, how, self.length)

    def _noise(self, how: augment.Change) -> Floats | None:
        """A stretch of one of the split's recordings of noise, (length,); None where none is to be
        mixed in."""
        (places,) = np.nonzero(self.kinds == NOISE)
        if not how.noisy or not len(places):
            return None
        recording = places[int(how.which_noise * len(places))]
        count = int(self.offsets[recording + 1] - self.offsets[recording])
        start = int(how.noise_place * max(1, count - self.length + 1))
        stretch = self._cut(recording, start, min(count, self.length))
        return np.resize(stretch, self.length)  # a short one is repeated

    def _cut(self, recording: Any, start: int, length: int) -> Floats:
        """(length,): silence where the recording has nothing."""
        first, end = int(self.offsets[recording]), int(self.offsets[recording + 1])
        found = np.zeros(length, np.float32)
        inside = slice(max(start, 0), max(min(start + length, end - first), 0))
        if inside.start < inside.stop:
            held = np.asarray(self.audio[first + inside.start : first + inside.stop])
            found[inside.start - start : inside.stop - start] = as_floats(held)
        return found

    @property
    def quick(self) -> bool:
        """Never: windows are cut and changed one by one."""
        return False

    @property
    def sample_bytes(self) -> int:
        """Of one window as float32."""
        return 4 * self.length

    def __reduce__(self) -> tuple[Callable[..., Split], tuple[Any, ...]]:
        # A worker process maps the file again; pickling the map would copy all sound.
        if isinstance(self.audio, np.memmap):
            folder = Path(str(self.audio.filename)).parent
            return open_sounds, (folder.parent, folder.name)
        fields = (getattr(self, name) for name in self.__dataclass_fields__)
        return SoundSplit, tuple(fields)


def open_sounds(folder: Path, name: str) -> SoundSplit:
    """A split of a data artifact that is sound. Raises FileNotFoundError: there is none of that
    name."""
    place = folder / name
    form = _array(place, "form")
    return SoundSplit(
        audio=np.load(place / "audio.npy", mmap_mode="r", allow_pickle=False),
        offsets=_array(place, "offsets"),
        kinds=_array(place, "kinds"),
        windows=_array(place, "windows"),
        gains=_array(place, "gains"),
        labels=_array(place, "labels"),
        numbers=_array(place, "samples"),
        rate=int(form[0]),
        length=int(form[1]),
    )


def _array(folder: Path, name: str) -> NDArray[Any]:
    found: NDArray[Any] = np.load(folder / f"{name}.npy", allow_pickle=False)
    return found
