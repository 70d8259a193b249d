"""One recording, whatever it comes as, to one channel of int16 samples at the wanted rate."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.sound import kinds
from edgedistill.data.sound.containers import cut_short
from edgedistill.data.sound.pyav import pyav_blocks
from edgedistill.errors import UserError
from edgedistill.files import check_regular

Samples = NDArray[np.int16]
Floats = NDArray[np.float32]
Payload = bytes | str | os.PathLike[str] | None
"""A whole encoded file, or a file's name; None where the source has none."""

FULL = 32768
"""An int16 sample is so many times the sample in -1..1."""
BLOCK = 1 << 16
"""Samples of each channel that are decoded at once."""
MOST_SECONDS = 100 * 3600.0
MOST_CHANNELS = 64
RATES = (1_000, 768_000)

CLIPPED = 0.999
CLIPPED_RUN = 4
"""So many samples in a row above that are taken for a recording that was too loud: speech touches
full scale for one or two."""
SILENT = 3.2e-4
"""A recording that never rises above -70 decibels of full scale has nothing to be heard in."""


@dataclass
class Heard:
    """What decoding saw of a recording beside its samples."""

    rate: int = 0
    channels: int = 1
    clipped: int = 0
    """Samples in runs at full scale."""
    peak: float = 0.0


Fault = Literal["damaged", "empty", "no numbers"]
"""What makes a recording unusable, as it is counted."""


class BadSound(Exception):
    """A recording that cannot be used; the caller knows its name."""

    def __init__(self, reason: str, fault: Fault = "damaged") -> None:
        super().__init__(reason)
        self.reason = reason
        self.fault: Fault = fault
        self.hint = (
            "mend or remove it, or allow some with `data.skip_unreadable`, a share such as 0.01"
        )


def decode(payload: Payload, rate: int) -> tuple[Samples, Heard]:
    """(samples,) int16, all channels mixed into one, resampled to `rate`; and what was seen.

    Raises BadSound: as `decoded_blocks`.
    """
    heard = Heard()
    blocks = list(decoded_blocks(payload, rate, heard))
    return np.concatenate([np.empty(0, np.int16), *blocks]), heard


def decoded_blocks(payload: Payload, rate: int, heard: Heard) -> Iterator[Samples]:
    """The same block by block, with the memory of one; `heard` is filled on the way.

    Raises BadSound: not sound, of a kind that takes a package which is not installed, damaged,
    shorter than it says, without samples, or with values that are no numbers.
    """
    count = 0
    for block in _resampled(_mixed(payload, heard), rate, heard):
        samples = np.rint(block * np.float32(FULL)).clip(-FULL, FULL - 1).astype(np.int16)
        count += len(samples)
        yield samples
    if not count:
        raise BadSound("holds no samples", "empty")


def as_floats(samples: Samples) -> Floats:
    """int16 samples as float32 in -1..1."""
    return np.divide(samples, np.float32(FULL), dtype=np.float32)


@contextmanager
def _decoding() -> Iterator[None]:
    """Raises BadSound: the libraries raise whatever a broken file leads them to."""
    try:
        yield
    except (BadSound, MemoryError):
        raise
    except Exception as error:
        text = error.message if isinstance(error, UserError) else str(error)
        if "Format not recognised" in text or "Invalid data found" in text:
            text = "not sound in a format that edgedistill reads"
        elif "SF_INFO struct incomplete" in text:
            text = "its header names a rate or a number of channels of 0"
        told = text.rpartition(">: ")[2]  # what stands before names a Python object, not the file
        raise BadSound(f"cannot be decoded: {told or type(error).__name__}") from None


def _mixed(payload: Payload, heard: Heard) -> Iterator[Floats]:
    """(samples,) block by block: the mean of the channels, in -1..1."""
    loud = 0
    done = 0
    for block in _checked(_opened(payload, heard), heard):
        if not np.isfinite(block).all():
            at = int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
            reason = f"holds what is no number at {(done + at) / heard.rate:.2f} s"
            raise BadSound(reason, "no numbers")
        done += len(block)
        if done > MOST_SECONDS * heard.rate:
            raise BadSound(f"is longer than {MOST_SECONDS / 3600:g} hours; cut it into parts")
        heard.peak = max(heard.peak, float(np.abs(block).max(initial=0.0)))
        clipped, loud = _clipped(np.abs(block).max(axis=1) >= CLIPPED, loud)
        heard.clipped += clipped
        yield np.clip(block, -1, 1).mean(axis=1, dtype=np.float32)


def _clipped(at_full: NDArray[np.bool_], before: int) -> tuple[int, int]:
    """How many samples lie in runs of `CLIPPED_RUN` or more, and the length of the run at the end;
    before: the same of the block before."""
    if not at_full.any():
        return 0, 0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], at_full, [False]]).astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    if at_full[0]:
        counted = before if before >= CLIPPED_RUN else 0
        lengths[0] += before
    else:
        counted = 0
    total = int(lengths[lengths >= CLIPPED_RUN].sum()) - counted
    return total, int(lengths[-1]) if at_full[-1] else 0


def _resampled(blocks: Iterator[Floats], rate: int, heard: Heard) -> Iterator[Floats]:
    import soxr

    stream: Any = None
    for block in blocks:
        if heard.rate == rate:
            yield block
            continue
        if stream is None:
            stream = soxr.ResampleStream(heard.rate, rate, 1, dtype="float32", quality="HQ")
        yield stream.resample_chunk(block)
    if stream is not None:
        yield stream.resample_chunk(np.empty(0, np.float32), last=True)


def _opened(payload: Payload, heard: Heard) -> Iterator[Floats]:
    """(samples, channels) block by block, as the file has them."""
    if payload is None:
        raise BadSound("there are no bytes", "empty")
    if not isinstance(payload, bytes):
        check_regular(Path(payload), "sound file")
    with io.BytesIO(payload) if isinstance(payload, bytes) else Path(payload).open("rb") as stream:
        head = stream.read(kinds.HEAD)
        if not head:
            raise BadSound("is empty", "empty")
        stream.seek(0)
        kind = kinds.with_pyav(head)
        if kind is None:
            yield from _libsndfile_blocks(stream, heard)
        elif kinds.has_pyav():
            yield from pyav_blocks(stream, kinds.DEMUXERS[kind], heard)
        else:
            raise BadSound(f"is {kinds.TITLES[kind]}; {kinds.INSTALL}")


def _libsndfile_blocks(stream: Any, heard: Heard) -> Iterator[Floats]:
    import soundfile

    told = cut_short(stream)
    if told is not None:
        raise BadSound(f"is cut off: {told}")
    stream.seek(0)
    with soundfile.SoundFile(stream) as file:
        if file.format not in kinds.FORMATS:
            raise BadSound(f"is {file.format_info}, which is not read")
        heard.rate, heard.channels = file.samplerate, file.channels
        while len(block := file.read(BLOCK, dtype="float32", always_2d=True)):
            yield block


def _checked(blocks: Iterator[Floats], heard: Heard) -> Iterator[Floats]:
    """Raises BadSound: what a library raises, and a rate or channels that no recording has."""
    while True:
        with _decoding():
            block = next(blocks, None)
        if block is None:
            return
        if not RATES[0] <= heard.rate <= RATES[1]:
            raise BadSound(f"says that it has {heard.rate} samples a second")
        if not 1 <= heard.channels <= MOST_CHANNELS:
            raise BadSound(f"has {heard.channels} channels; at most {MOST_CHANNELS} are read")
        yield block
