"""A digest of what a source holds, cheap enough to take before every run."""

from __future__ import annotations

import importlib.metadata
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgedistill.artifact import file_digest, text_digest
from edgedistill.data.sources.base import is_folder
from edgedistill.data.sources.folder import files_below
from edgedistill.errors import UserError
from edgedistill.files import check_regular
from edgedistill.recipe import (
    ArraysData,
    Data,
    DigitsData,
    FolderData,
    FunctionData,
    HuggingFaceData,
    ParquetData,
    TorchvisionData,
)
from edgedistill.usercode import source_digest

NOT_CONTENT = {"augment", "workers"}
"""Fields of the config that change no byte of the prepared data."""


def fingerprint(data: Data) -> str:
    """SHA-256 over the config without its paths, and over what they hold: whole files for parquet,
    arrays and a function's module; names, sizes and times for folders; for torchvision and
    scikit-learn, which check their own files, the library's version. A hub data set is taken by
    its name. With the plugin for HEIC or without, other files are images.

    Raises UserError: a file or folder is missing.
    """
    fields = data.model_dump(exclude=NOT_CONTENT)
    config = {name: value for name, value in fields.items() if not isinstance(value, Path)}
    content = [CONTENT[data.source](data), data.unlabelled and listing(data.unlabelled)]
    content.append(_version("pillow-heif"))
    return text_digest({"config": config, "content": content})


def _folder(data: FolderData) -> Any:
    return [listing(path) for path in (data.train, data.test) if path is not None]


def _files(data: ParquetData | ArraysData) -> Any:
    return [_digests(path) for path in (data.train, data.test)]


def _digits(data: DigitsData) -> Any:
    return _version("scikit-learn")


def _torchvision(data: TorchvisionData) -> Any:
    return _version("torchvision")


def _huggingface(data: HuggingFaceData) -> Any:
    path = Path(data.name)
    return listing(path) if path.is_dir() else _version("datasets")


def _function(data: FunctionData) -> Any:
    return source_digest(data.function, "data.function")


CONTENT: dict[str, Callable[[Any], Any]] = {
    "digits": _digits,
    "folder": _folder,
    "parquet": _files,
    "torchvision": _torchvision,
    "huggingface": _huggingface,
    "arrays": _files,
    "function": _function,
}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _digests(path: Path) -> list[str]:
    files = [path]
    if is_folder(path):
        files = sorted(path.glob("*.parquet"))
    for file in files:
        check_regular(file, "file", "check the path in `data`")
    return [file_digest(file) for file in files]


def listing(root: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and times of the files below a folder, links to folders followed where they lie
    in it itself: a class's folder may be one. Raises UserError: it is not there."""
    if not is_folder(root):
        raise UserError(f"folder not found: {root}", "check the path in `data`")
    linked = [each for each in root.iterdir() if is_folder(each) and each.is_symlink()]
    found = []
    for path in itertools.chain(files_below(root), *map(files_below, linked)):
        try:
            stat = path.stat()
        except OSError:  # a link to nowhere is heard of when it is read
            stat = path.lstat()
        found.append((path.relative_to(root).as_posix(), stat.st_size, stat.st_mtime_ns))
    return sorted(found)
