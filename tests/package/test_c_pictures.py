"""What C makes of a picture or a sound before it is fed is what Python makes of it, to the bit."""

from __future__ import annotations

import ctypes
import shutil
from typing import Any

import numpy as np
import PIL
import pytest
from c_recognizer import build_library
from PIL import Image

from edgedistill.data.image.decode import Form, decode
from edgedistill.data.sound.reading import cut
from edgedistill.data.sound.window import clip_window

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
RESIZES = ["crop", "fit", "stretch"]
OLD = int(PIL.__version__.split(".")[0]) < 13
CUTS = ["end", "middle", "spoken"]


class _Picture(ctypes.Structure):
    _fields_ = (
        ("pixels", ctypes.c_void_p), ("width", ctypes.c_int), ("height", ctypes.c_int),
        ("channels", ctypes.c_int), ("stride", ctypes.c_size_t),
    )  # fmt: skip


class _Form(ctypes.Structure):
    _fields_ = (
        ("height", ctypes.c_int), ("width", ctypes.c_int), ("channels", ctypes.c_int),
        ("resize", ctypes.c_int), ("channels_last", ctypes.c_bool),
    )  # fmt: skip


class _SoundForm(ctypes.Structure):
    _fields_ = (("rate", ctypes.c_int), ("samples", ctypes.c_size_t), ("cut", ctypes.c_int))


class _Message(ctypes.Structure):
    _fields_ = (("text", ctypes.c_char * 512),)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return ctypes.CDLL(str(build_library(tmp_path_factory.mktemp("library") / "library.so")))


def prepared(library: Any, pixels: Any, form: Form, stride: int = 0) -> Any:
    height, width = pixels.shape[:2]
    picture = _Picture(
        pixels.ctypes.data, width, height, 1 if pixels.ndim == 2 else pixels.shape[2], stride
    )
    wanted = _Form(*form.size, form.channels, RESIZES.index(form.resize), True)
    found, why = np.full(form.shape, 77, np.uint8), _Message()
    code = library.edr_prepare_picture(
        ctypes.byref(picture), ctypes.byref(wanted), found.ctypes.data_as(ctypes.c_void_p),
        ctypes.byref(why),
    )  # fmt: skip
    assert code == 0, why.text
    return found


def noise(random: Any, height: int, width: int, channels: int) -> Any:
    """Pixels, some of them black or white, so that rounding and cutting off show."""
    shape = (height, width) if channels == 1 else (height, width, channels)
    values = random.integers(0, 256, shape)
    return np.where(random.random(shape) < 0.3, values // 128 * 255, values).astype(np.uint8)


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_resized_as_in_python(library: Any, resize: Any, channels: int) -> None:
    random = np.random.default_rng(channels)
    sizes = [(16, 16), (7, 5), (1, 1), (224, 31)]
    sources = [(16, 16), (1, 1), (3, 50), (97, 61), (300, 41), (16, 33), (33, 16), (480, 640)]
    for size in sizes:
        for height, width in sources:
            if OLD and height - size[0] > 2 * (width - size[1]):
                continue  # before its version 13 Pillow scaled these across first
            pixels = noise(random, height, width, channels)
            form = Form(size, channels, resize)
            assert np.array_equal(prepared(library, pixels, form), decode(pixels, form)), (
                size, height, width,
            )  # fmt: skip


@pytest.mark.parametrize(("mode", "channels"), [("LA", 2), ("RGBA", 4), ("RGB", 3), ("L", 1)])
def test_colors_and_transparency_are_as_in_python(library: Any, mode: str, channels: int) -> None:
    pixels = noise(np.random.default_rng(0), 64, 256, channels)
    if channels > 1:
        pixels[:, :, -1] = np.arange(256)  # each of an alpha's values
    for wanted in (1, 3):
        form = Form((64, 256), wanted)
        image = Image.fromarray(pixels, mode)
        assert np.array_equal(prepared(library, pixels, form), decode(image, form)), wanted


def test_rows_may_lie_apart(library: Any) -> None:
    wide = noise(np.random.default_rng(0), 20, 50, 3)
    form = Form((8, 8), 3)
    part = wide[:, :30]
    found = prepared(library, part, form, stride=wide.strides[0])
    assert np.array_equal(found, decode(np.ascontiguousarray(part), form))


@pytest.mark.parametrize("part", CUTS)
def test_sound_is_cut_as_in_python(library: Any, part: Any) -> None:
    random = np.random.default_rng(0)
    rate, length = 8000, 3200
    for count in [*range(1, 12), 3199, 3200, 3201, *random.integers(3000, 40_000, 40)]:
        loud = np.interp(np.arange(count), np.linspace(0, count, 9), 10 ** random.uniform(0, 4, 9))
        samples = (loud * random.uniform(-1, 1, count)).astype(np.int16)
        found, why = np.zeros(length, np.float32), _Message()
        real = samples.astype(np.float32) / 32768
        code = library.edr_prepare_sound(
            real.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(count),
            ctypes.byref(_SoundForm(rate, length, CUTS.index(part))),
            found.ctypes.data_as(ctypes.c_void_p), ctypes.byref(why),
        )  # fmt: skip
        (start,) = clip_window(samples, length, part, rate)
        assert code == 0, why.text
        assert np.array_equal(found, cut(samples, int(start), length)), count


@pytest.mark.parametrize(
    ("width", "height", "channels", "told"),
    [
        (0, 4, 3, b"a picture of 0x4 pixels"),
        (4, 1 << 20, 3, b"a picture of 4x1048576 pixels"),
        (4, 4, 5, b"a picture of 5 bytes a pixel"),
    ],
)
def test_what_is_no_picture_is_told(
    library: Any, width: int, height: int, channels: int, told: bytes
) -> None:
    pixels, why = np.zeros(64, np.uint8), _Message()
    picture = _Picture(pixels.ctypes.data, width, height, channels, 0)
    form = _Form(4, 4, 3, 0, True)
    code = library.edr_prepare_picture(
        ctypes.byref(picture), ctypes.byref(form), pixels.ctypes.data_as(ctypes.c_void_p),
        ctypes.byref(why),
    )  # fmt: skip
    assert (code, why.text) == (6, told)
