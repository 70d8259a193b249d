"""Pictures are prepared as Pillow, and so the compiler, does it."""

from __future__ import annotations

from typing import Any

import numpy as np
import PIL
import pytest
from PIL import Image

from edgedistill.data.image.decode import Form, decode
from edgedistill.package.python.glue.pictures import prepared

OLD = int(PIL.__version__.split(".")[0]) < 13
SIZES = [(1, 1), (7, 5), (16, 16), (33, 20), (20, 33), (97, 64), (201, 333)]


def told(size: tuple[int, int], channels: int, how: str) -> dict[str, Any]:
    return {"image_size": size, "channels": channels, "resize": {"how": how}}


@pytest.mark.parametrize("how", ["crop", "fit", "stretch"])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_byte_is_pillows(how: Any, channels: int) -> None:
    random = np.random.default_rng(0)
    for tall, wide in SIZES:
        for size in ((16, 16), (12, 31), (50, 8)):
            if OLD and tall - size[0] > 2 * (wide - size[1]):
                continue  # before its version 13 Pillow scaled these across first
            for given in (1, 3, 4):
                picture = random.integers(0, 256, (tall, wide, given), dtype=np.uint8)
                found = prepared(picture, told(size, channels, how))
                wanted = decode(picture, Form(size, channels, how))
                assert np.array_equal(found, wanted), (tall, wide, size, given)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_files_of_all_kinds(mode: str, tmp_path: Any) -> None:
    random = np.random.default_rng(1)
    image = Image.fromarray(random.integers(0, 256, (24, 31, 3), dtype=np.uint8))
    image = image.convert("L").convert("I;16") if mode == "I;16" else image.convert(mode)
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    image.save(path)
    for channels in (1, 3):
        found = prepared(path, told((16, 16), channels, "crop"))
        assert np.array_equal(found, decode(path, Form((16, 16), channels)))


def test_a_large_jpeg(tmp_path: Any) -> None:
    random = np.random.default_rng(2)
    small = Image.fromarray(random.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    small.resize((400, 300)).save(tmp_path / "x.jpg", exif=_turned())
    found = prepared(str(tmp_path / "x.jpg"), told((16, 16), 3, "crop"))
    assert np.array_equal(found, decode(tmp_path / "x.jpg", Form((16, 16), 3)))


def _turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.parametrize(
    "wrong", [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros(4, np.uint8)]
)
def test_what_is_no_picture_is_told(wrong: Any) -> None:
    with pytest.raises(ValueError, match="is meant"):
        prepared(wrong, told((16, 16), 3, "crop"))
