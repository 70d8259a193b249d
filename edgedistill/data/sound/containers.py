"""Whether a sound file holds as much as it says: libsndfile reads what is there without a word."""

from __future__ import annotations

import os
import struct
from typing import IO

_UNKNOWN = 0xFFFFFF00
"""A size from here on was never filled in: the file was written to a pipe."""
_MOST_CHUNKS = 10_000
_PAGE, _PAGE_HEAD, _LARGEST_PAGE = b"OggS", 27, 65_307


def cut_short(stream: IO[bytes]) -> str | None:
    """What a WAV, AIFF, MP3 or Ogg file lacks, in words; None where it is whole or does not say.
    FLAC tells as it is decoded.

    The sizes are those of RIFF and AIFF chunks, of the Xing header that encoders of MP3 leave in
    the first frame, and of the last page of Ogg (RFC 3533, section 6).
    """
    stream.seek(0, os.SEEK_END)
    held = stream.tell()
    stream.seek(0)
    head = stream.read(12)
    if head[:4] in (b"RIFF", b"RIFX") and head[8:12] == b"WAVE":
        return _chunks(stream, held, "<" if head[:4] == b"RIFF" else ">", b"data")
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _chunks(stream, held, ">", b"SSND")
    if head[:4] == _PAGE:
        return _ogg(stream, held)
    if head[:3] == b"ID3" or (head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE0 == 0xE0):
        return _mp3(stream, held)
    return None


def _chunks(stream: IO[bytes], held: int, order: str, wanted: bytes) -> str | None:
    for _ in range(_MOST_CHUNKS):
        head = stream.read(8)
        if len(head) < 8:
            return None  # without sound at all, which its decoder tells
        (size,) = struct.unpack(f"{order}I", head[4:])
        start = stream.tell()
        if head[:4] == wanted:
            missing = start + size - held
            if size >= _UNKNOWN or size == 0 or missing <= 0:
                return None
            return f"{missing} of {size} bytes of sound are missing"
        stream.seek(start + size + size % 2)
    return None


def _mp3(stream: IO[bytes], held: int) -> str | None:
    stream.seek(0)
    first = stream.read(10)
    start = 0
    if first[:3] == b"ID3" and len(first) == 10:  # a size of four times seven bits
        start = 10 + sum((byte & 0x7F) << 7 * place for place, byte in enumerate(first[:5:-1]))
    stream.seek(start)
    frame = stream.read(256)
    at = max(frame.find(b"Xing"), frame.find(b"Info"))
    if at < 0 or len(frame) < at + 16:
        return None
    flags = int.from_bytes(frame[at + 4 : at + 8], "big")
    if not flags & 2:
        return None
    place = at + 8 + (4 if flags & 1 else 0)
    size = int.from_bytes(frame[place : place + 4], "big")
    missing = start + size - held
    # Some encoders do not count the frame that this stands in.
    return f"{missing} of {size} bytes of sound are missing" if missing > size // 50 else None


def _ogg(stream: IO[bytes], held: int) -> str | None:
    stream.seek(max(0, held - _LARGEST_PAGE))
    tail = stream.read(_LARGEST_PAGE)
    page = tail[max(0, tail.rfind(_PAGE)) :]
    if len(page) < _PAGE_HEAD or len(page) < _PAGE_HEAD + page[_PAGE_HEAD - 1]:
        return "the last page breaks off in its head"
    segments = page[_PAGE_HEAD : _PAGE_HEAD + page[_PAGE_HEAD - 1]]
    size = _PAGE_HEAD + len(segments) + sum(segments)
    missing = size - len(page)
    return f"{missing} of {size} bytes of its last page are missing" if missing > 0 else None
