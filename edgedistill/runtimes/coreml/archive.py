"""A Core ML package as one file. It is a folder, and what a bundle lists is files: it lies there as
a zip archive, which any `unzip` makes the folder of again."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

from edgedistill.errors import UserError

SUFFIX = ".mlpackage.zip"
_LARGEST = 4_000_000_000
"""Bytes that a package may unpack to."""
_HINT = "the file is damaged or of another kind; export it again"


def pack(package: Path, path: Path) -> None:
    """Write the folder as an archive; the same files give the same bytes."""
    with zipfile.ZipFile(path, "w") as archive:
        for each in sorted(package.rglob("*")):
            if each.is_file():
                name = each.relative_to(package.parent).as_posix()
                archive.writestr(zipfile.ZipInfo(name), each.read_bytes())


def files_of(path: Path) -> dict[str, bytes]:
    """What an archive holds, by name: all within one folder, `NAME.mlpackage`.

    Raises UserError: it is no such archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            listed = [each for each in archive.infolist() if not each.is_dir()]
            if sum(each.file_size for each in listed) > _LARGEST:
                raise UserError(f"{path}: unpacks to more than {_LARGEST:,} bytes", _HINT)
            if not _is_package([each.filename for each in listed]):
                raise UserError(f"{path}: holds no Core ML package", _HINT)
            return {each.filename: archive.read(each) for each in listed}
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{path}: cannot be unpacked: {error}", _HINT) from error


def _is_package(names: list[str]) -> bool:
    parts = [PurePosixPath(name).parts for name in names]
    inside = all(len(each) > 1 and not {"..", "/"} & {*each} for each in parts)
    roots = {each[0] for each in parts} if inside else set()
    return len(roots) == 1 and min(roots).endswith(".mlpackage") and "\\" not in "".join(names)


def unpack(path: Path, folder: Path) -> Path:
    """The package of an archive, as a folder in `folder`. Raises UserError: as `files_of` does."""
    found = files_of(path)
    for name, content in found.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder / PurePosixPath(next(iter(found))).parts[0]
