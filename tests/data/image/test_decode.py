from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from edgedistill.data.image.decode import BadImage, Form, decode
from edgedistill.data.workers import decode_all, worker_count

RGB = Form(8, 3)
STRICT = Form(8, 3, convert=False)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def test_pixels_of_the_right_shape_pass_unchanged():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    assert np.array_equal(decode(pixels, RGB), pixels)
    assert np.array_equal(decode(encoded(Image.fromarray(pixels)), RGB), pixels)


def test_the_square_in_the_middle_is_kept():
    wide = np.zeros((8, 24, 3), np.uint8)
    wide[:, 8:16] = 200
    assert np.all(decode(wide, RGB) == 200)


def test_a_large_jpeg_shrinks_to_its_mean():
    large = encoded(Image.new("RGB", (640, 480), (40, 80, 120)), "JPEG")
    assert np.allclose(decode(large, RGB), (40, 80, 120), atol=3)


def test_a_photograph_is_turned_as_its_exif_says():
    image = Image.new("RGB", (8, 8))
    image.paste((255, 255, 255), (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 3
    turned = decode(encoded(image, "PNG", exif=exif), RGB)
    assert np.all(turned[:4] == 0)
    assert np.all(turned[4:] == 255)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (8, 8), 77), (77, 77, 77)),
        (Image.new("RGBA", (8, 8), (10, 20, 30, 255)), (10, 20, 30)),
        (Image.new("RGBA", (8, 8), (10, 20, 30, 0)), (255, 255, 255)),
        (Image.new("P", (8, 8), 0), (0, 0, 0)),
        (Image.fromarray(np.full((8, 8), 77 * 257, np.uint16)), (77, 77, 77)),
    ],
    ids=["grey", "RGBA", "transparent", "palette", "16 bits"],
)
def test_other_kinds_are_converted(image, expected):
    assert tuple(decode(encoded(image), RGB)[0, 0]) == expected


def test_colour_becomes_grey():
    assert decode(np.full((9, 9, 3), 50, np.uint8), Form(8, 1)).shape == (8, 8, 1)


@pytest.mark.parametrize(
    ("image", "form", "reason", "hint"),
    [
        (
            Image.new("L", (8, 8)),
            STRICT,
            "is a grey image where 3 channels (RGB) are meant",
            "set `data.convert_channels: true` to convert such images, or `data.channels: 1`",
        ),
        (
            Image.new("RGBA", (8, 8)),
            STRICT,
            "is an RGBA image where 3 channels (RGB) are meant",
            "set `data.convert_channels: true` to convert such images",
        ),
        (
            Image.new("RGB", (8, 8)),
            Form(8, 1, convert=False),
            "is an RGB image where 1 channel (grey) is meant",
            "set `data.convert_channels: true` to convert such images, or `data.channels: 3`",
        ),
    ],
)
def test_without_conversion_other_kinds_are_refused(image, form, reason, hint):
    with pytest.raises(BadImage) as caught:
        decode(encoded(image), form)
    assert (caught.value.reason, caught.value.hint) == (reason, hint)
    assert not caught.value.skippable


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (
            b"not a picture",
            "cannot be decoded: not a picture in a format that edgedistill reads",
        ),
        (None, "cannot be decoded: there are no bytes"),
        ("/no/such.png", "cannot be decoded: image file not found: /no/such.png"),
    ],
)
def test_damaged_images_may_be_skipped(payload, reason):
    with pytest.raises(BadImage) as caught:
        decode(payload, RGB)
    assert caught.value.reason == reason
    assert caught.value.skippable


def test_a_truncated_file_is_damaged():
    whole = encoded(
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8))
    )
    with pytest.raises(BadImage, match="cannot be decoded"):
        decode(whole[: len(whole) // 2], RGB)


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.zeros((8, 8, 3), np.float32), "pixels are float32, not uint8"),
        (np.zeros((8, 8, 2), np.uint8), "an array of shape (8, 8, 2) is no image"),
        (np.zeros(8, np.uint8), "an array of shape (8,) is no image"),
    ],
)
def test_arrays_that_are_no_images(pixels, reason):
    with pytest.raises(BadImage) as caught:
        decode(pixels, RGB)
    assert caught.value.reason == reason


def test_processes_give_the_same_in_the_same_order():
    payloads = [np.full((8, 8, 3), at % 256, np.uint8) for at in range(600)]
    payloads[300] = b"broken"
    here = list(decode_all(payloads, RGB, 0))
    there = list(decode_all(payloads, RGB, 2))
    assert len(here) == len(there) == 3
    for a, b in zip(here, there, strict=True):
        assert np.array_equal(a.images, b.images)
        assert a.failures == b.failures
    assert [failure.at for failure in here[1].failures] == [300 - 256]


def test_little_to_decode_starts_no_processes():
    assert worker_count(None, 1000) == 0
    assert worker_count(3, 1000) == 3
