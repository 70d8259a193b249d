"""A digest of what a source holds, cheap enough to take before every run."""

from __future__ import annotations

import contextlib
import importlib.metadata
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgedistill.artifact import file_digest, text_digest
from edgedistill.data.sources import manifest
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
    ManifestData,
    ParquetData,
    TorchvisionData,
)
from edgedistill.usercode import source_digest

NOT_CONTENT: Any = {"augment": True, "workers": True, "sound": {"augment"}}
"""Fields of the config that change no byte of the prepared data."""
_ELSEWHERE = {"negatives", "noise"}
"""Fields of `sound` that are paths."""


def fingerprint(data: Data) -> str:
    """SHA-256 over the config without its paths, and over what they hold: whole files for parquet,
    arrays and a function's module; names, sizes and times for folders; for torchvision and
    scikit-learn, which check their own files, the library's version. A hub data set is taken by
    its name. With the plugin for HEIC or without, other files are images; so with PyAV, other files
    are sound. Files that a manifest names count by name, size and time.

    Raises UserError: a file or folder is missing.
    """
    fields = data.model_dump(exclude=NOT_CONTENT)
    config = {name: value for name, value in fields.items() if not isinstance(value, Path)}
    content = [CONTENT[data.source](data), data.unlabelled and listing(data.unlabelled)]
    if data.sound is None:
        content.append(_version("pillow-heif"))
    else:
        places = (data.sound.negatives, data.sound.noise)
        config["sound"] = {
            name: value for name, value in fields["sound"].items() if name not in _ELSEWHERE
        }
        content += [[of_recordings(path) for path in paths] for paths in places]
        content += [_version(name) for name in ("soundfile", "soxr", "av")]
    return text_digest({"config": config, "content": content})


def _folder(data: FolderData) -> Any:
    return [listing(path) for path in (data.train, data.test) if path is not None]


def _files(data: ParquetData | ArraysData) -> Any:
    return [_digests(path) for path in (data.train, data.test) if path is not None]


def _manifests(data: ManifestData) -> Any:
    given = [path for path in (data.train, data.test) if path is not None]
    return [_manifest(path, data.path) for path in given]


def _manifest(path: Path, key: str | None = None) -> Any:
    samples = manifest.unlabelled(path, None, key)
    files = samples.read(np.arange(len(samples.labels)))
    return [file_digest(path), [_seen(Path(file)) for file in files]]


def of_recordings(path: Path, key: str | None = None) -> Any:
    """What tells recordings from others, wherever they lie: in a folder, files or a manifest, whose
    files' key may be another than the usual. Raises UserError: they are not there."""
    if path.suffix == ".jsonl":
        return _manifest(path, key)
    if is_folder(path) and not any(path.glob("*.parquet")):
        return listing(path)
    return _digests(path)


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
    "manifest": _manifests,
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
    found = itertools.chain(files_below(root), *map(files_below, linked))
    return sorted((path.relative_to(root).as_posix(), *_seen(path)) for path in found)


def _seen(path: Path) -> tuple[int, int]:
    """Size and time; zeros where there is no such file, which is heard of when it is read."""
    for look in (path.stat, path.lstat):  # a link to nowhere is something
        with contextlib.suppress(OSError):
            stat = look()
            return stat.st_size, stat.st_mtime_ns
    return 0, 0
