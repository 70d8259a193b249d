"""`.npz` files: read member by member as a stream, so that they may be larger than memory.

What a file says of itself (shapes, sizes) is a claim: nothing is allocated by it, and what is read
is as much as it says or an error.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.image.decode import MOST_PIXELS
from edgedistill.data.sources.base import (
    Labels,
    Samples,
    Source,
    check_numbers,
    class_names,
    read_labels,
    shown,
)
from edgedistill.errors import UserError, nearest, reading
from edgedistill.files import check_regular
from edgedistill.recipe import ArraysData

MOST_HEADER = 10_000
"""Bytes; NumPy reads no longer ones either."""
PIECE = 1 << 20
"""Bytes read at once."""
WRITE = "an .npz file is meant: np.savez(path, images=..., labels=...) writes one"


def open_source(data: ArraysData) -> Source:
    """The two `.npz` files, one for each split. Raises UserError: as `samples` and `named_samples`,
    or class names that do not fit the labels."""
    if data.arrays is None:
        train, test = samples(data.train), samples(data.test)
    else:
        train, test = (named_samples(path, data.arrays) for path in (data.train, data.test))
    return Source(class_names(data.classes, train.labels), train, test)


def samples(path: Path) -> Samples:
    """Raises UserError: not an .npz file, an array missing or of the wrong shape or type, a file
    that is damaged or holds less than it says."""
    check_regular(path, "file", "check the path in `data`")
    images = _header(path, "images")
    if images.dtype != np.uint8:
        raise UserError(
            f"{path}: `images` are {images.dtype}, not uint8", "give pixels as uint8 in 0..255"
        )
    if len(images.shape) not in (3, 4) or 0 in images.shape:
        raise UserError(
            f"{path}: `images` have shape {images.shape}",
            "give (samples, height, width) or (samples, height, width, channels)",
        )
    if math.prod(images.shape[1:3]) > MOST_PIXELS:
        raise UserError(
            f"{path}: `images` have shape {images.shape}, more pixels than an image may have",
            "give (samples, height, width, channels), images smaller",
        )
    if images.fortran_order:
        raise UserError(
            f"{path}: `images` lie in column order", "save np.ascontiguousarray(images)"
        )
    labels = _labels(path, images.shape[0])

    def read(ids: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
        return _rows(path, images, ids)

    def name_of(sample: int) -> str:
        return f"{shown(path.name)} image {sample}"

    return Samples(labels, read, name_of)


def named_samples(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Samples:
    """Samples of an array for each name, (samples, *shape).

    Raises UserError: as `samples` does.
    """
    check_regular(path, "file", "check the path in `data`")
    headers = {name: _header(path, name) for name in shapes}
    counts = {name: header.shape[0] if header.shape else 0 for name, header in headers.items()}
    count = next(iter(counts.values()))
    for name, header in headers.items():
        wanted = (count, *shapes[name])
        if header.dtype.kind not in "biuf" or header.shape != wanted or header.fortran_order:
            order = " in column order" if header.fortran_order else ""
            raise UserError(
                f"{path}: `{name}` is {header.dtype} of shape {header.shape}{order}; numbers of "
                f"shape {wanted} are meant",
                "see `data.inputs`; save np.ascontiguousarray(...)",
            )
    labels = _labels(path, count)

    def read(ids: NDArray[np.int64]) -> Iterator[dict[str, NDArray[Any]]]:
        columns = [_rows(path, headers[name], ids, name) for name in shapes]
        return (dict(zip(shapes, row, strict=True)) for row in zip(*columns, strict=True))

    return Samples(labels, read, lambda sample: f"{shown(path.name)} sample {sample}")


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def _labels(path: Path, count: int) -> Labels:
    where = f"{path}: `labels`"
    header = _header(path, "labels")
    if header.dtype.hasobject:
        raise UserError(
            f"{where} are Python objects, which only a pickle can hold", "save them as numbers"
        )
    check_numbers(header.dtype, header.shape, where)
    if header.shape[0] != count:
        raise UserError(
            f"{path}: {count} images but {header.shape[0]} labels", "give each image a label"
        )
    with _array(path, "labels") as (stream, _):
        _read_header(stream)
        flat = np.frombuffer(_exactly(stream, header.bytes), header.dtype)
        _check_end(stream)
        # Column order is that of the reversed axes.
        values = (
            flat.reshape(header.shape[::-1]).T
            if header.fortran_order
            else flat.reshape(header.shape)
        )
    return read_labels(values, where)


@contextmanager
def _array(path: Path, key: str) -> Iterator[tuple[IO[bytes], int]]:
    """A member of an .npz file as a stream, and how many bytes it claims to have.

    Raises UserError: it is missing, or what the body reads of it is damaged.
    """
    with reading(str(path), WRITE), zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if f"{key}.npy" not in names:
            keys = [name.removesuffix(".npy") for name in names if name.endswith(".npy")]
            hint = nearest(key, keys) if keys else WRITE
            raise UserError(f"{path}: has no array `{key}`", hint)
        member = archive.getinfo(f"{key}.npy")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"`{key}` is compressed in a way that NumPy does not write")
        with archive.open(member) as stream:
            yield stream, member.file_size


def _header(path: Path, key: str) -> _Header:
    """Raises UserError: it is no header, or the member has not the size that it says."""
    with _array(path, key) as (stream, size):
        header = _read_header(stream)
        if min(header.shape, default=0) < 0:
            raise ValueError(f"shape {header.shape} of `{key}`")
        held = size - stream.tell()
        if held != header.bytes and not header.dtype.hasobject:
            raise ValueError(
                f"`{key}` is said to be of shape {header.shape}, "
                f"{header.bytes} bytes, and holds {held}"
            )
    return header


def _read_header(stream: IO[bytes]) -> _Header:
    magic = _exactly(stream, np.lib.format.MAGIC_LEN)
    version = np.lib.format.read_magic(io.BytesIO(magic))
    first = version == (1, 0)
    length = _exactly(stream, 2 if first else 4)
    size = int.from_bytes(length, "little")
    if size > MOST_HEADER:
        raise ValueError(f"a header of {size} bytes")
    header = io.BytesIO(length + _exactly(stream, size))
    try:
        if first:
            return _Header(*np.lib.format.read_array_header_1_0(header))
        return _Header(*np.lib.format.read_array_header_2_0(header))
    except MemoryError:  # of Python's parser, which such a header is nested too deeply for
        raise ValueError("a header that is no Python literal") from None


def _exactly(stream: IO[bytes], size: int) -> bytes:
    """Read in pieces, so that memory grows with what is there and not with what was said."""
    content = bytearray()
    while len(content) < size:
        piece = stream.read(min(PIECE, size - len(content)))
        if not piece:
            raise EOFError(f"ends {size - len(content)} bytes too early")
        content += piece
    return bytes(content)


def _rows(
    path: Path, header: _Header, ids: NDArray[np.int64], key: str = "images"
) -> Iterator[NDArray[Any]]:
    shape = header.shape[1:]
    size = math.prod(shape) * header.dtype.itemsize
    with _array(path, key) as (stream, _):
        _read_header(stream)
        at = 0
        for each in ids:
            stream.seek((int(each) - at) * size, io.SEEK_CUR)
            yield np.frombuffer(_exactly(stream, size), header.dtype).reshape(shape)
            at = int(each) + 1
        _check_end(stream)


def _check_end(stream: IO[bytes]) -> None:
    """The checksum of a member is compared where it ends."""
    while stream.read(PIECE):
        pass
