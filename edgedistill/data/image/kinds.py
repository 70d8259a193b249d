"""Which kinds of image file are read, and by which endings they go."""

from __future__ import annotations

from functools import cache
from pathlib import Path

ENDINGS = {
    ".avif": "AVIF",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".hif": "HEIF",
    ".j2c": "JPEG2000",
    ".j2k": "JPEG2000",
    ".jfif": "JPEG",
    ".jp2": "JPEG2000",
    ".jpc": "JPEG2000",
    ".jpe": "JPEG",
    ".jpeg": "JPEG",
    ".jpf": "JPEG2000",
    ".jpg": "JPEG",
    ".jpx": "JPEG2000",
    ".pbm": "PPM",
    ".pgm": "PPM",
    ".png": "PNG",
    ".pnm": "PPM",
    ".ppm": "PPM",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
"""Pillow's names of the kinds. Which of them a file is, its content says; its ending only says that
it is meant as an image. Raw photos are left out though Pillow opens some: it takes the small
preview in them."""

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""What every Pillow reads. Its others are not asked for: it starts other programs for some."""

INSTALL = {
    "AVIF": "this Pillow was built without it: pip install --upgrade pillow",
    "HEIF": "a plugin reads it: pip install 'edgedistill[heic]'",
    "JPEG2000": "this Pillow was built without it: pip install --upgrade pillow",
}
"""What a kind needs that this installation may lack."""
TITLES = {"AVIF": "AVIF", "HEIF": "HEIC", "JPEG2000": "JPEG 2000"}

HEAD = 64
"""Bytes at the beginning of a file that tell of its kind."""
_HEVC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AV1 = {b"avif", b"avis"}


@cache
def formats() -> tuple[str, ...]:
    """The kinds that are read here. The plugin for HEIC is made known to Pillow if it is there."""
    from PIL import features

    there = {
        "AVIF": features.check("avif"),
        "JPEG2000": features.check("jpg_2000"),
        "HEIF": _plugin(),
    }
    # AVIF stands before HEIC: a file whose first brand is of both is told apart by its parser.
    return (*FORMATS, *(name for name, can in there.items() if can))


def _plugin() -> bool:
    try:
        import pillow_heif

        # Not the small preview that some files hold: it is another picture, sharpened for a screen.
        pillow_heif.register_heif_opener(thumbnails=False)
    except ImportError:
        return False
    return True


def lacking(head: bytes) -> str | None:
    """Why a file that begins with `head` is not read here, though it would be elsewhere; else
    None."""
    kind = _optional(head)
    if kind is None or kind in formats():
        return None
    return f"{TITLES[kind]}; {INSTALL[kind]}"


def _optional(head: bytes) -> str | None:
    """Which of the kinds that not every installation reads a file is (ISO/IEC 23008-12 and 15444-1,
    annex I: brands and signatures)."""
    if head.startswith((b"\0\0\0\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")):
        return "JPEG2000"
    if head[4:8] != b"ftyp":
        return None
    length = int.from_bytes(head[:4], "big")
    brands = {head[at : at + 4] for at in (8, *range(16, min(length, len(head)) - 3, 4))}
    if brands & _AV1:
        return "AVIF"
    return "HEIF" if brands & _HEVC else None


def head_of(path: Path) -> bytes:
    """Its first bytes; none where it cannot be read, which its reader tells of."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as stream:
            return stream.read(HEAD)
    except OSError:
        return b""


def is_read(path: Path) -> bool:
    """Whether a file is an image, by its ending, of a kind that is read here."""
    kind = ENDINGS.get(path.suffix.lower())
    if kind is None or kind in formats():
        return kind is not None
    # Its content decides: what is called .heic is often a JPEG.
    return lacking(head_of(path)) is None


def why_not(ending: str) -> str:
    """Why files of this ending are passed over, in words."""
    kind = ENDINGS.get(ending)
    if kind is None:
        return "no kind of image that is read; convert what is a photo"
    return f"{TITLES[kind]}; {INSTALL[kind]}"
