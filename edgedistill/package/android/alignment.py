"""Whether native libraries can be loaded where memory comes in pages of 16 KB, as on Android 15
and later."""

from __future__ import annotations

import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path

from edgedistill.errors import UserError

PAGE = 16384
_LOAD = 1


@dataclass(frozen=True)
class Library:
    """A 64-bit native library in an archive."""

    name: str
    size: int
    alignment: int
    """The least of what it loads."""
    offset: int | None
    """Where its bytes begin in the archive; None where they are compressed."""


def least_alignment(archive: Path) -> list[Library]:
    """The 64-bit libraries of an AAR or APK; those of 32 bits know pages of 4 KB alone.

    Raises UserError: no archive, or a library is no ELF file.
    """
    found = []
    try:
        with zipfile.ZipFile(archive) as file:
            for entry in file.infolist():
                if not entry.filename.endswith(".so"):
                    continue
                alignment = _of_elf(file.read(entry), f"{archive}: {entry.filename}")
                if alignment is None:
                    continue
                stored = entry.compress_type == zipfile.ZIP_STORED
                offset = data_offset(archive, entry) if stored else None
                found.append(Library(entry.filename, entry.file_size, alignment, offset))
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f"{archive}: cannot be read: {error}", "give an AAR or APK") from None
    return found


def check_aligned(archive: Path) -> None:
    """Raises UserError: a library of an AAR or APK cannot be loaded in pages of 16 KB."""
    for each in least_alignment(archive):
        if each.alignment < PAGE or each.alignment % PAGE:
            raise UserError(
                f"{archive}: {each.name} is aligned to {each.alignment} bytes, and Android takes "
                f"{PAGE} since its version 15",
                "take a newer release of the runtime",
            )


def data_offset(archive: Path, entry: zipfile.ZipInfo) -> int:
    """Where an entry's bytes begin (PKWARE's APPNOTE, section 4.3.7)."""
    with archive.open("rb") as file:
        file.seek(entry.header_offset + 26)
        name, extra = struct.unpack("<HH", file.read(4))
    return entry.header_offset + 30 + int(name) + int(extra)


def _of_elf(content: bytes, what: str) -> int | None:
    """The least alignment of what is loaded; None of 32 bits (System V ABI, program header)."""
    if content[:4] != b"\x7fELF":
        raise UserError(f"{what} is no ELF file", "see where it comes from")
    if content[4] != 2:
        return None
    try:
        (table,) = struct.unpack_from("<Q", content, 32)
        size, count = struct.unpack_from("<HH", content, 54)
        parts = [struct.unpack_from("<I44xQ", content, table + size * at) for at in range(count)]
        return int(min(alignment for kind, alignment in parts if kind == _LOAD))
    except (struct.error, ValueError):
        raise UserError(f"{what} is a damaged ELF file", "see where it comes from") from None
