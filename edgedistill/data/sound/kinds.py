"""Which kinds of sound file are read, and by which endings they go."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

ENDINGS = {
    ".3gp": "MP4",
    ".aac": "AAC",
    ".aif": "AIFF",
    ".aiff": "AIFF",
    ".flac": "FLAC",
    ".m4a": "MP4",
    ".mka": "Matroska",
    ".mp3": "MP3",
    ".mp4": "MP4",
    ".oga": "Ogg",
    ".ogg": "Ogg",
    ".opus": "Ogg",
    ".wav": "WAV",
    ".wave": "WAV",
    ".webm": "Matroska",
}
"""Which of the kinds a file is, its content says; its ending, that it is meant as sound."""

FORMATS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "FLAC", "OGG", "MP3")
"""libsndfile's names of those that it is asked for. It knows more, among them raw samples, of which
nothing says what they are."""

DEMUXERS = {"MP4": "mov", "AAC": "aac", "Matroska": "matroska"}
"""FFmpeg's names of those that take PyAV. It is asked for no others: some of its formats are lists
of addresses, which it would open."""
TITLES = {"MP4": "MPEG-4 audio", "AAC": "AAC", "Matroska": "Matroska or WebM"}
INSTALL = "PyAV reads it: pip install 'edgedistill[m4a]'"

HEAD = 16
"""Bytes at the beginning of a file that tell of its kind."""


def with_pyav(head: bytes) -> str | None:
    """Which of the kinds that take PyAV a file is that begins with `head`; None: of none."""
    if head[4:8] == b"ftyp":
        return "MP4"
    if head.startswith(b"\x1a\x45\xdf\xa3"):  # EBML (RFC 8794)
        return "Matroska"
    # An ADTS header (ISO/IEC 13818-7): twelve bits of sync, and a layer of 0, which MP3 has not.
    return "AAC" if head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xF6 == 0xF0 else None


def looks_like_sound(head: bytes) -> bool:
    """Whether a file begins with `head` as files of sound do, of kinds that are read here or with
    PyAV; by the signatures of RIFF, FLAC, Ogg, AIFF, ID3 and MPEG frames."""
    signatures = (b"fLaC", b"OggS", b"ID3")
    return (
        head.startswith(signatures)
        or (head[:4] in (b"RIFF", b"RIFX", b"RF64") and head[8:12] == b"WAVE")
        or (head[:4] == b"FORM" and head[8:11] == b"AIF")
        or (head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xE6 in (0xE2, 0xE0))
        or with_pyav(head) is not None
    )


def has_pyav() -> bool:
    """Whether PyAV is installed."""
    return find_spec("av") is not None


def is_read(path: Path) -> bool:
    """Whether a file is sound, by its ending, of a kind that is read here."""
    kind = ENDINGS.get(path.suffix.lower())
    return kind is not None and (kind not in DEMUXERS or has_pyav())


def why_not(ending: str) -> str:
    """Why files of this ending are passed over, in words."""
    kind = ENDINGS.get(ending)
    if kind is None:
        return "no kind of sound that is read; convert what is a recording"
    return f"{TITLES[kind]}; {INSTALL}"
