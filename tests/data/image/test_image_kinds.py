"""HEIC, AVIF and JPEG 2000 are images as JPEG is; what is not read here is counted aloud."""

from __future__ import annotations

import importlib.metadata
import io
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pictures import noise
from PIL import Image

from edgedistill.data import prepare, read_images, read_unlabelled, to_pixels
from edgedistill.data.fingerprint import fingerprint
from edgedistill.data.image import kinds
from edgedistill.data.image.decode import BadImage, Form, decode, only_meant_formats
from edgedistill.data.survey import look
from edgedistill.errors import UserError
from edgedistill.recipe import FolderData, ParquetData

NEW = ("AVIF", "HEIF", "JPEG2000")
ENDING = {"AVIF": ".avif", "HEIF": ".HEIC", "JPEG2000": ".jp2", "JPEG": ".jpg"}


@pytest.fixture(autouse=True)
def plugin():
    kinds.formats()


@pytest.fixture
def without_plugin(monkeypatch, plugin):
    """As where `pillow-heif` is not installed; Pillow may know it already, which is not used."""
    kinds.formats.cache_clear()
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    yield
    kinds.formats.cache_clear()


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def blocks(seed: int = 0, side: int = 64) -> Image.Image:
    """Coloured squares, which no codec changes much."""
    squares = np.kron(noise(seed, 4), np.ones((side // 4, side // 4, 1), np.uint8))
    return Image.fromarray(squares.astype(np.uint8))


def heic(seed: int = 0, **options: object) -> bytes:
    return encoded(blocks(seed), "HEIF", **options)


@pytest.mark.parametrize("kind", NEW)
def test_they_are_decoded_as_a_png_is(kind):
    expected = decode(encoded(blocks(), "PNG"), Form((32, 32), 3)).astype(int)
    found = decode(encoded(blocks(), kind), Form((32, 32), 3)).astype(int)
    assert np.abs(found - expected).mean() < 6
    grey = decode(encoded(blocks(), kind), Form((32, 32), 1)).astype(int)
    assert np.abs(grey - decode(encoded(blocks(), "PNG"), Form((32, 32), 1))).mean() < 6


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_a_phones_photograph_is_turned(kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = blocks().crop((0, 0, 64, 48))
    turned = Form((32, 32), 3)
    found = decode(encoded(wide, kind, exif=exif.tobytes()), turned).astype(int)
    expected = decode(encoded(wide, "PNG", exif=exif.tobytes()), turned).astype(int)
    assert np.abs(found - expected).mean() < 6
    assert np.abs(found - decode(encoded(wide, "PNG"), turned)).mean() > 20


@pytest.mark.parametrize("kind", NEW)
def test_what_is_transparent_is_white(kind):
    image = Image.new("RGBA", (64, 64), (10, 20, 30, 0))
    assert np.all(decode(encoded(image, kind), Form((8, 8), 3)) > 250)


@pytest.mark.parametrize("kind", ["HEIF", "JPEG2000"])
def test_sixteen_bits_become_eight(kind):
    image = Image.fromarray(np.full((64, 64), 77 * 257, np.uint16))
    assert np.allclose(decode(encoded(image, kind), Form((8, 8), 1)), 77, atol=1)


@pytest.mark.parametrize("kind", NEW)
def test_an_image_past_the_bound_is_refused(kind, monkeypatch):
    monkeypatch.setattr("edgedistill.data.image.decode.MOST_PIXELS", 1000)
    with pytest.raises(BadImage, match="64x64 pixels are more than an image may have"):
        decode(encoded(blocks(), kind), Form((8, 8), 3))


def test_a_heic_that_claims_few_pixels_and_holds_many():
    side = (64).to_bytes(4, "big")
    content = heic().replace(side * 2, (8).to_bytes(4, "big") * 2)
    with pytest.raises(BadImage, match="cannot be decoded: "):
        decode(content, Form((8, 8), 3))


def fill(root: Path, kind: str, count: int = 6) -> Path:
    for label, name in enumerate(("cat", "dog")):
        (root / name).mkdir(parents=True)
        for at in range(count):
            path = root / name / f"{at}{ENDING[kind]}"
            path.write_bytes(encoded(blocks(10 * label + at), kind))
    return root


@pytest.mark.parametrize("kind", NEW)
def test_every_door_takes_them(kind, tmp_path, reporter):
    root = fill(tmp_path / "train", kind)
    data = FolderData(source="folder", train=root, image_size=8)
    metrics = prepare(data, "classification", 0, tmp_path / "out", reporter)
    assert sum(metrics["counts"].values()) == 12
    assert metrics["warnings"] == []
    assert len(read_images(root, ("cat", "dog"), Form((8, 8), 3)).labels) == 12
    assert len(read_unlabelled(root, Form((8, 8), 3)).samples) == 12
    assert look(str(root)).size == (64, 64)
    assert to_pixels(root / "cat" / f"0{ENDING[kind]}", Form((8, 8), 3)).shape == (1, 3, 8, 8)
    content = encoded(blocks(), kind)
    with only_meant_formats():
        assert Image.open(io.BytesIO(content)).size == (64, 64)
    table = pa.table({"img": [{"bytes": content}] * 2, "label": [0, 1]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_images(tmp_path / "a.parquet", ("cat", "dog"), Form((8, 8), 3)).samples.shape == (
        2,
        8,
        8,
        3,
    )


def test_the_content_decides_and_not_the_ending(tmp_path):
    (tmp_path / "phone.jpg").write_bytes(heic())
    (tmp_path / "saved.heic").write_bytes(encoded(blocks(), "JPEG"))
    first, second = read_unlabelled(tmp_path, Form((32, 32), 3)).samples.astype(int)
    assert np.abs(first - second).mean() < 8


def test_without_the_plugin_they_are_counted_by_class(tmp_path, reporter, without_plugin):
    root = fill(tmp_path / "train", "JPEG", 28)
    for at in range(12):
        (root / "cat" / f"x{at}.heic").write_bytes(b"\0\0\0\x1cftypheic\0\0\0\0mif1heic")
    data = FolderData(source="folder", train=root, image_size=8)
    metrics = prepare(data, "classification", 0, tmp_path / "out", reporter)
    said = (
        f"{root}: class cat: 12 of 40 files are .heic, passed over: HEIC; a plugin reads it: "
        "pip install 'edgedistill[heic]'; first cat/x0.heic"
    )
    assert metrics["warnings"] == [said]
    assert f"data: {said}" in reporter.said
    assert sum(metrics["counts"].values()) == 56


def test_without_the_plugin_a_jpeg_called_heic_is_read(tmp_path, without_plugin):
    (tmp_path / "saved.heic").write_bytes(encoded(blocks(), "JPEG"))
    assert read_unlabelled(tmp_path, Form((8, 8), 3)).samples.shape == (1, 8, 8, 3)


@pytest.mark.parametrize("brands", [b"heic\0\0\0\0mif1heic", b"mif1\0\0\0\0miafheix"])
def test_without_the_plugin_a_heic_called_jpg_says_what_it_is(brands, without_plugin):
    content = b"\0\0\0\x18ftyp" + brands + bytes(64)
    with pytest.raises(BadImage) as caught:
        decode(content, Form((8, 8), 3))
    assert caught.value.reason == (
        "cannot be decoded: is HEIC; a plugin reads it: pip install 'edgedistill[heic]'"
    )


def test_a_folder_of_nothing_else_says_what_to_install(tmp_path, without_plugin):
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x1cftypheic\0\0\0\0mif1heic")
    with pytest.raises(UserError) as caught:
        read_unlabelled(tmp_path, Form((8, 8), 3))
    assert "1 of 1 files are .heic" in caught.value.hint
    assert "pip install 'edgedistill[heic]'" in caught.value.hint


def test_the_plugin_is_part_of_what_a_source_holds(tmp_path, monkeypatch):
    image = encoded(blocks(), "PNG")
    pq.write_table(pa.table({"img": [image], "label": [0]}), tmp_path / "a.parquet")
    data = ParquetData(
        source="parquet", train=tmp_path / "a.parquet", test=tmp_path / "a.parquet", image_size=8
    )
    before = fingerprint(data)
    monkeypatch.setattr(importlib.metadata, "version", lambda package: "another")
    assert fingerprint(data) != before


def test_other_files_are_counted_by_class_and_ending(make_folder, tmp_path, reporter):
    root = make_folder("train", cat=10, dog=10, owl=10)
    for at in range(6):
        (root / "dog" / f"{at}.dng").write_bytes(b"II*\0")
    (root / "cat" / "z.dng").write_bytes(b"II*\0")
    (root / "owl" / "Thumbs.db").write_bytes(b"")
    data = FolderData(source="folder", train=root, image_size=8)
    metrics = prepare(data, "classification", 0, tmp_path / "out", reporter)
    assert metrics["warnings"] == [
        f"{root}: class dog: 6 of 16 files, class cat: 1 of 11 files are .dng, passed over: no "
        "kind of image that is read; convert what is a photo; first cat/z.dng",
        f"{root}: class owl: 1 of 11 files are .db, passed over: no kind of image that is read; "
        "convert what is a photo; first owl/Thumbs.db",
    ]


def test_damaged_images_are_counted_by_class(make_folder, tmp_path, reporter):
    root = make_folder("train", cat=20, dog=20)
    for at in range(3):
        (root / "dog" / f"{at}.png").write_bytes(b"no picture")
    data = FolderData(source="folder", train=root, image_size=8, skip_unreadable=0.1)
    (told,) = prepare(data, "classification", 0, tmp_path / "out", reporter)["warnings"]
    assert told.startswith("images left out: 3 (class dog: 3 of 20); first train/dog/")


def test_postscript_starts_no_program(tmp_path):
    (tmp_path / "a.eps").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EOF\n")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.eps").read_bytes())
    assert "EPS" not in kinds.formats()
    with pytest.raises(BadImage, match="not a picture in a format"):
        decode(str(tmp_path / "b.png"), Form((8, 8), 3))
    (tmp_path / "b.png").unlink()
    with pytest.raises(UserError, match="there are no images"):
        read_unlabelled(tmp_path, Form((8, 8), 3))
