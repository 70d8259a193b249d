"""`.npz` files: read member by member as a stream, so that they may be larger than memory."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.sources.base import Samples, Source, class_names, existing, read_labels
from edgedistill.errors import UserError, nearest
from edgedistill.recipe import ArraysData


def open_source(data: ArraysData) -> Source:
    train, test = samples(data.train), samples(data.test)
    return Source(class_names(data.classes, train.labels), train, test)


def samples(path: Path) -> Samples:
    """Raises UserError: not an .npz file, an array missing or of the wrong shape or type."""
    images = _header(path, "images")
    if images.dtype != np.uint8:
        raise UserError(
            f"{path}: `images` are {images.dtype}, not uint8", "give pixels as uint8 in 0..255"
        )
    if len(images.shape) not in (3, 4):
        raise UserError(
            f"{path}: `images` have shape {images.shape}",
            "give (samples, height, width) or (samples, height, width, channels)",
        )
    if images.fortran_order:
        raise UserError(
            f"{path}: `images` lie in column order", "save np.ascontiguousarray(images)"
        )
    if _header(path, "labels").dtype.hasobject:
        raise UserError(
            f"{path}: `labels` are Python objects, which only a pickle can hold",
            "save them as numbers",
        )
    with np.load(path, allow_pickle=False) as file:
        labels = read_labels(file["labels"], f"{path}: `labels`")
    if len(labels) != images.shape[0]:
        raise UserError(f"{path}: {images.shape[0]} images but {len(labels)} labels")

    def read(ids: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
        return _rows(path, images, ids)

    def name_of(sample: int) -> str:
        return f"{path.name} image {sample}"

    return Samples(labels, read, name_of)


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]


def _header(path: Path, key: str) -> _Header:
    try:
        with zipfile.ZipFile(existing(path, "file")) as archive:
            keys = [name.removesuffix(".npy") for name in archive.namelist()]
            if key not in keys:
                raise UserError(f"{path}: has no array `{key}`", nearest(key, keys))
            with archive.open(f"{key}.npy") as stream:
                return _read_header(stream)
    except (zipfile.BadZipFile, ValueError) as error:
        raise UserError(
            f"{path}: not an .npz file: {error}",
            "write it with np.savez(path, images=..., labels=...)",
        ) from None


def _read_header(stream: IO[bytes]) -> _Header:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return _Header(*np.lib.format.read_array_header_1_0(stream))
    return _Header(*np.lib.format.read_array_header_2_0(stream))


def _rows(path: Path, header: _Header, ids: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    shape = header.shape[1:]
    size = int(np.prod(shape))
    with zipfile.ZipFile(path) as archive, archive.open("images.npy") as stream:
        _read_header(stream)
        at = 0
        for each in ids:
            stream.seek((int(each) - at) * size, 1)
            yield np.frombuffer(stream.read(size), np.uint8).reshape(shape)
            at = int(each) + 1
