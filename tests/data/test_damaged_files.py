"""Files that are damaged, or say of themselves what is not so: told in words, at no cost."""

from __future__ import annotations

import contextlib
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import noise
from PIL import Image

from edgedistill.data import read_unlabelled
from edgedistill.data.image.decode import BadImage, Form, decode, only_meant_formats
from edgedistill.data.image.kinds import formats
from edgedistill.data.sources import arrays, parquet
from edgedistill.errors import UserError

IMAGES = np.stack([noise(at, 4) for at in range(6)])
LABELS = [0, 1, 0, 1, 1, 0]
Damage = tuple[int, list[tuple[int, int]], int]
damages = st.tuples(
    st.integers(0, 3),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 1 << 16),
)
"""Which file; places, some counted from the end, and the bytes put there; where it is cut off, in
one of some cases."""


def damaged(content: bytes, damage: Damage) -> bytes:
    _, flips, cut = damage
    changed = bytearray(content)
    for place, value in flips:
        at = place % len(changed) if place % 2 else -1 - place % min(len(changed), 600)
        changed[at] = value
    return bytes(changed[: cut % len(changed)] if cut % 8 == 0 else changed)


def _check_words(error: UserError) -> None:
    assert error.hint
    assert "\n" not in error.message


def encoded(image: np.ndarray, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, kind)
    return stream.getvalue()


def parquet_file(path: Path, metadata: object = None, **columns: object) -> Path:
    table = pa.table({"img": [encoded(each) for each in IMAGES], "label": LABELS, **columns})
    if metadata is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps(metadata)})
    pq.write_table(table, path, row_group_size=4)
    return path


@cache
def whole_parquets() -> list[bytes]:
    files = []
    names = {"info": {"features": {"label": {"names": ["a", "b"], "_type": "ClassLabel"}}}}
    table = pa.table({"img": [{"bytes": encoded(each)} for each in IMAGES], "label": LABELS})
    for codec in ("none", "snappy", "zstd", "gzip"):
        stream = io.BytesIO()
        named = table.replace_schema_metadata({"huggingface": json.dumps(names)})
        pq.write_table(named, stream, row_group_size=4, compression=codec)
        files.append(stream.getvalue())
    return files


@settings(max_examples=150, deadline=None)
@given(damages)
def test_a_parquet_file_with_other_bytes_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, damage: Damage
) -> None:
    path = tmp_path_factory.getbasetemp() / "other.parquet"
    path.write_bytes(damaged(whole_parquets()[damage[0]], damage))
    try:
        samples, names = parquet.samples(path, None, None)
        images = list(samples.read(np.arange(len(samples.labels))))
    except UserError as error:
        _check_words(error)
        return
    assert len(images) == len(samples.labels)
    assert all(each is None or isinstance(each, bytes) for each in images)
    assert names is None or all(isinstance(each, str) for each in names)


@settings(max_examples=150, deadline=None)
@given(damages)
def test_an_npz_file_with_other_bytes_is_read_right_or_refused(
    tmp_path_factory: pytest.TempPathFactory, damage: Damage
) -> None:
    path = tmp_path_factory.getbasetemp() / "other.npz"
    save = np.savez_compressed if damage[0] % 2 else np.savez
    save(path, images=IMAGES, labels=LABELS)
    path.write_bytes(damaged(path.read_bytes(), damage))
    try:
        samples = arrays.samples(path)
        images = list(samples.read(np.arange(len(samples.labels))))
    except UserError as error:
        _check_words(error)
        return
    # Each member has a checksum.
    assert samples.labels.tolist() == LABELS
    assert np.array_equal(images, IMAGES)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(formats()), damages)
@pytest.mark.filterwarnings("ignore")
def test_an_image_with_other_bytes_is_decoded_or_told(kind: str, damage: Damage) -> None:
    with contextlib.suppress(BadImage):
        assert decode(damaged(encoded(noise(0), kind), damage), Form((8, 8), 3)).shape == (8, 8, 3)


# --- parquet


def refusal(read: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        read()
    assert caught.value.hint
    return caught.value.message


def features(told: object) -> dict[str, object]:
    return {"info": {"features": told}}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (features([]), "metadata `huggingface` cannot be read: TypeError: the columns are a list"),
        (features({"label": None}), "describes column `label` by NoneType"),
        (features({"label": [1]}), "describes column `label` by list"),
        (features({"label": {"names": 5}}), "class names are given as int, not as a list"),
        (features({"label": {"names": ["a", 1]}}), "the name of class 1 is a int, not text"),
        (features({"label": {"names": ["a", ["b"]]}}), "the name of class 1 is a list, not text"),
        (features({"label": {"names": ["a", " "]}}), "the name of class 1 is empty"),
        (features({"label": {"names": ["a", "b", "a"]}}), "two classes are named `a`"),
        (features({"label": {"names": ["\udcff"]}}), r"is no UTF-8 text: `\udcff`"),
        (5, "cannot be read: TypeError: "),
    ],
)
def test_metadata_that_name_no_classes(tmp_path: Path, metadata: object, message: str) -> None:
    path = parquet_file(tmp_path / "a.parquet", metadata)
    assert message in refusal(lambda: parquet.samples(path, "img", "label"))
    # A recipe's own names make them needless.
    assert len(parquet.samples(path, "img", "label", named=True)[0].labels) == 6


def test_metadata_of_a_list_of_values_name_no_classes(tmp_path: Path) -> None:
    told = features({"label": [{"dtype": "int64", "_type": "Value"}]})
    path = parquet_file(tmp_path / "a.parquet", told, label=[[0, 1]] * 6)
    assert parquet.samples(path, "img", "label")[1] is None


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"info":' * 100_000, "{"])
def test_metadata_that_are_no_json(tmp_path: Path, deep: str) -> None:
    table = pq.read_table(parquet_file(tmp_path / "a.parquet"))
    pq.write_table(table.replace_schema_metadata({"huggingface": deep}), tmp_path / "a.parquet")
    told = refusal(lambda: parquet.samples(tmp_path / "a.parquet", None, None))
    assert "its metadata `huggingface` cannot be read: " in told


@pytest.mark.parametrize(
    "column",
    [["/etc/hostname"] * 6, [{"bytes": "/etc/hostname"}] * 6, [{"path": "x"}] * 6, [1] * 6,
     [[b"x"]] * 6],
)  # fmt: skip
def test_a_column_that_holds_no_images(tmp_path: Path, column: object) -> None:
    """Text least of all: it would be opened as a file."""
    path = parquet_file(tmp_path / "a.parquet", img=column)
    told = refusal(lambda: parquet.samples(path, "img", "label"))
    assert told.startswith(f"{path}: column `img` holds ")


def test_columns_of_other_layouts_are_read(tmp_path: Path) -> None:
    images = pa.array([encoded(each) for each in IMAGES]).dictionary_encode()
    labels = pa.array(LABELS, pa.uint8()).dictionary_encode()
    path = parquet_file(tmp_path / "a.parquet", img=images, label=labels)
    samples, _ = parquet.samples(path, None, None)
    assert samples.labels.tolist() == LABELS
    assert list(samples.read(np.array([5]))) == [encoded(IMAGES[5])]


def test_a_file_without_rows(tmp_path: Path) -> None:
    table = pa.table({"img": pa.array([], pa.binary()), "label": pa.array([], pa.int64())})
    pq.write_table(table, tmp_path / "a.parquet")
    told = refusal(lambda: parquet.samples(tmp_path / "a.parquet", None, None))
    assert told == f"{tmp_path / 'a.parquet'}: holds no rows"


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([b"x"]), pa.array([0]), pa.array([1])],
                                 ["img", "label", "label"])  # fmt: skip
    pq.write_table(table, tmp_path / "a.parquet")
    told = refusal(lambda: parquet.samples(tmp_path / "a.parquet", None, None))
    assert told == f"{tmp_path / 'a.parquet'}: has two columns `label`"


def test_pages_that_are_broken_are_told_when_they_are_read(tmp_path: Path) -> None:
    path = parquet_file(tmp_path / "a.parquet")
    start = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    content = bytearray(path.read_bytes())
    content[start : start + 20] = b"\xff" * 20
    path.write_bytes(content)
    samples, _ = parquet.samples(path, None, None)
    told = refusal(lambda: list(samples.read(np.arange(6))))
    assert told.startswith(f"{path}: column `img`: cannot be read: ")


# --- npz


def npy(header: str, content: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode("latin-1")
    length = len(text).to_bytes(2 if version == b"\x01\x00" else 4, "little")
    return b"\x93NUMPY" + version + length + text + content


def described(kind: str, shape: str, order: bool = False) -> str:
    return f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {shape}, }}"


def npz_file(path: Path, images: bytes, labels: bytes, way: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", way) as archive:
        archive.writestr("images.npy", images)
        archive.writestr("labels.npy", labels)
    return path


PIXELS = npy(described("'|u1'", "(2, 4, 4)"), bytes(32))
NUMBERS = npy(described("'<i8'", "(2,)"), bytes(16))


@pytest.mark.parametrize(
    "header",
    [
        described("'|u1'", "(1000000000000000, 8, 8, 3)"),
        described("'|u1'", "(2, 4, 5)"),
        described("'|u1'", "(2, -4, -4)"),
        described("'|u1'", "(2, 4, 4.0)"),
        described("'|u1'", "2"),
        described("'no such type'", "(2, 4, 4)"),
        "(" * 9_000,
        "-" * 9_000 + "1",
        "{" * 9_000,
        "#" + "(" * 9_000,
        "{'descr': __import__('os').getcwd()}",
        "\x00" * 64,
        "",
    ],
)
def test_headers_of_arrays_that_are_not_so(tmp_path: Path, header: str) -> None:
    path = tmp_path / "a.npz"
    for version in (b"\x01\x00", b"\x02\x00"):
        npz_file(path, npy(header, bytes(32), version), NUMBERS)
        told = refusal(lambda: arrays.samples(path))
        assert told.startswith(f"{path}: cannot be read: ")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (npy(described("'<i8'", "()"), bytes(8)), "`labels`: labels are int64 of shape ()"),
        (
            npy(described("[('a', '<i8')]", "(2,)"), bytes(16)),
            "`labels`: labels are [('a', '<i8')] of shape (2,)",
        ),
        (npy(described("'|V0'", "(2,)")), "`labels`: labels are |V0 of shape (2,)"),
        (npy(described("'|O'", "(2,)")), "`labels` are Python objects, which only a pickle"),
        (npy(described("'<i8'", "(9,)"), bytes(72)), "2 images but 9 labels"),
        (npy(described("'<i8'", "(2, 0)")), "`labels`: labels are int64 of shape (2, 0)"),
        (npy(described("'<u8'", "(2,)"), b"\xff" * 16), "is too large a number"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, labels: bytes, message: str) -> None:
    path = npz_file(tmp_path / "a.npz", PIXELS, labels)
    assert message in refusal(lambda: arrays.samples(path))


def test_labels_in_column_order_and_of_other_bytes(tmp_path: Path) -> None:
    values = np.arange(6, dtype=">f4").reshape(2, 3)
    content = values.tobytes(order="F")
    path = npz_file(
        tmp_path / "a.npz", PIXELS, npy(described("'>f4'", "(2, 3)", order=True), content)
    )
    assert arrays.samples(path).labels.tolist() == values.tolist()


@pytest.mark.parametrize("way", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_ways_of_compression_that_numpy_does_not_write(tmp_path: Path, way: int) -> None:
    path = npz_file(tmp_path / "a.npz", PIXELS, NUMBERS, way)
    assert "is compressed in a way that NumPy does not write" in refusal(
        lambda: arrays.samples(path)
    )


def test_an_encrypted_member(tmp_path: Path) -> None:
    path = npz_file(tmp_path / "a.npz", PIXELS, NUMBERS)
    content = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1
    path.write_bytes(content)
    assert "cannot be read: RuntimeError: " in refusal(lambda: arrays.samples(path))


def test_an_archive_of_other_things(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images", PIXELS)
        archive.writestr("inner.npz", b"")
    assert refusal(lambda: arrays.samples(path)) == f"{path}: has no array `images`"


def test_a_sum_is_checked_though_the_last_images_are_not_wanted(tmp_path: Path) -> None:
    images = np.full((200, 8, 8), ord("z"), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=np.zeros(200, int))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[content.rindex(b"z" * 64) + 63] = 0
    (tmp_path / "a.npz").write_bytes(content)
    samples = arrays.samples(tmp_path / "a.npz")
    assert "Bad CRC-32" in refusal(lambda: list(samples.read(np.array([0]))))


# --- images


def test_no_other_formats_are_opened(tmp_path: Path) -> None:
    """PostScript would start another program."""
    for name, content in (
        ("x.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EOF\n"),
        ("y.png", encoded(noise(0), "PCX")),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadImage, match="not a picture in a format that edgedistill reads"):
            decode(str(tmp_path / name), Form((8, 8), 3))
    with only_meant_formats(), pytest.raises(OSError, match="cannot identify"):
        Image.open(tmp_path / "y.png")
    assert Image.open(tmp_path / "y.png").size == (8, 8)


@pytest.mark.parametrize("side", [60_000, 12_000, 9_600])
def test_an_image_that_claims_too_many_pixels(side: int) -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        sum_ = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + sum_

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"0"))
    with pytest.raises(BadImage, match="pixels") as caught:
        decode(content, Form((8, 8), 3))
    assert caught.value.skippable


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    assert refusal(lambda: read_unlabelled(tmp_path, Form((8, 8), 3))) == (
        f"1 of 1 images cannot be read; first {tmp_path.name}/x.png: cannot be decoded: "
        f"{tmp_path / 'x.png'}: is no regular file; image file is meant"
    )
    (tmp_path / "x.png").unlink()
    (tmp_path / "x.png").symlink_to("x.png")
    assert "Too many levels of symbolic links" in refusal(
        lambda: read_unlabelled(tmp_path, Form((8, 8), 3))
    )


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "pipe", "pipe/x"])
def test_paths_at_which_nothing_can_lie(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / name
    for read in (
        lambda: parquet.samples(path, None, None),
        lambda: arrays.samples(path),
        lambda: read_unlabelled(path, Form((8, 8), 3)),
    ):
        assert "\n" not in refusal(read)


def test_a_pipe_in_a_folder_of_parquet_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.parquet")
    assert "is no regular file" in refusal(lambda: parquet.samples(tmp_path, None, None))
