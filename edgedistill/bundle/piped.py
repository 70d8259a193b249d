"""Raw samples as they come through a pipe, which says nothing of what is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgedistill.errors import UserError

_READ = 320
"""Bytes that are waited for: 10 ms at 16,000 samples a second."""
_FILES = {b"RIFF": "WAV", b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"FORM": "AIFF"}
_ENOUGH = 16
_FLOATS = 1e-9
"""Least size of a sample of sound as a float. Pairs of int16 that read as floats between that and 1
have their second sample between 12,425 and 16,256, or at the same distance of each other below 0,
where no sound stays."""
_HINT = (
    "`arecord -f S16_LE -c 1 -t raw` and `ffmpeg -ac 1 -f s16le` give such samples, at the rate of "
    "the bundle; a file is given by its name"
)


def raw(stream: BinaryIO, say: Callable[[str], None]) -> Iterator[NDArray[np.int16]]:
    """int16 samples, the low byte first, one channel, piece by piece.

    Raises UserError: there are none, a file is piped, or the samples are floats.
    """
    left, begun, known = b"", False, False
    while piece := stream.read(_READ):
        whole = left + piece
        if not begun:
            _check_no_file(whole)
        begun, known = True, known or _known(whole)
        even = len(whole) // 2 * 2
        left = whole[even:]
        yield np.frombuffer(whole[:even], "<i2").astype(np.int16)
    if not begun:
        raise UserError("standard input: holds no samples", _HINT)
    if left:
        say("standard input: ends with half a sample, left out; int16 samples are meant")


def _check_no_file(head: bytes) -> None:
    for begin, name in _FILES.items():
        if head.startswith(begin):
            raise UserError(
                f"standard input: holds a file, {name}; raw samples are meant: int16, one channel",
                _HINT,
            )


def _known(piece: bytes) -> bool:
    """Whether enough is there to tell. Raises UserError: the samples are floats."""
    values = np.frombuffer(piece[: len(piece) // 4 * 4], "<f4")
    loud = np.abs(values[values != 0])
    if len(loud) < _ENOUGH:
        return False
    if ((loud >= _FLOATS) & (loud <= 1)).mean() > 0.9:
        raise UserError("standard input: holds 32-bit floats; int16 samples are meant", _HINT)
    return True
