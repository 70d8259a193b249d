from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from edgedistill.data.image.decode import BadImage, Form, decode
from edgedistill.data.workers import decode_all, worker_count

RGB = Form((8, 8), 3)
STRICT = Form((8, 8), 3, convert=False)


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
    assert decode(np.full((9, 9, 3), 50, np.uint8), Form((8, 8), 1)).shape == (8, 8, 1)


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
            Form((8, 8), 1, convert=False),
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
    here = list(decode_all(payloads, [RGB], 0))
    there = list(decode_all(payloads, [RGB], 2))
    assert len(here) == len(there) == 3
    for a, b in zip(here, there, strict=True):
        assert np.array_equal(a.images[0], b.images[0])
        assert a.failures == b.failures
    assert [failure.at for failure in here[1].failures] == [300 - 256]


def test_little_to_decode_starts_no_processes():
    assert worker_count(None, 1000) == 0
    assert worker_count(3, 1000) == 3


WIDE = (8, 16)


def column(shades: list[int], height: int = 8) -> np.ndarray:
    """A grey image whose columns have these shades."""
    return np.tile(np.array(shades, np.uint8), (height, 1))


def test_a_picture_is_cut_to_the_wanted_proportions() -> None:
    tall = np.repeat(np.arange(32, dtype=np.uint8)[:, None] * 8, 16, axis=1)
    found = decode(tall, Form(WIDE, 1))
    assert found.shape == (8, 16, 1)
    assert found[:, 0, 0].tolist() == [8 * row for row in range(12, 20)]
    flat = column([8 * at for at in range(32)])
    assert decode(flat, Form(WIDE, 1))[0, :, 0].tolist() == [8 * at for at in range(8, 24)]


def test_a_square_is_cut_as_ever() -> None:
    image = np.random.default_rng(0).integers(0, 256, (37, 52, 3), np.uint8)
    box = (7.5, 0.0, 44.5, 37.0)
    expected = Image.fromarray(image).resize((8, 8), Image.Resampling.BILINEAR, box=box)
    assert np.array_equal(decode(image, RGB), np.asarray(expected))


def test_all_of_a_picture_fits_in_the_middle_of_black() -> None:
    found = decode(np.full((20, 10, 3), 200, np.uint8), Form((8, 8), 3, "fit"))
    assert found[..., 0].tolist() == [[0, 0, 200, 200, 200, 200, 0, 0]] * 8
    found = decode(np.full((1, 100), 200, np.uint8), Form(WIDE, 1, "fit"))
    assert found[..., 0].any(axis=1).tolist() == [at == 3 for at in range(8)]
    odd = decode(np.full((8, 5), 200, np.uint8), Form((8, 8), 1, "fit"))
    assert odd[0, :, 0].tolist() == [0] + [200] * 5 + [0, 0]


def test_a_picture_is_stretched_out_of_proportion() -> None:
    found = decode(column([0, 0, 200, 200], height=4), Form(WIDE, 1, "stretch"))
    assert found[0, [0, -1], 0].tolist() == [0, 200]
    assert decode(column([0, 0, 200, 200], height=4), Form((8, 4), 1, "stretch")).shape == (8, 4, 1)


@pytest.mark.parametrize("resize", ["crop", "fit", "stretch"])
def test_a_large_photo_is_enough_for_either_side(resize: str) -> None:
    """A JPEG is decoded at a fraction of its size, but never at less than is needed."""
    smooth = np.linspace(0, 255, 1600 * 400).reshape(400, 1600).astype(np.uint8)
    form = Form((64, 16), 1, resize)  # type: ignore[arg-type]
    found = decode(encoded(Image.fromarray(smooth), "JPEG"), form).astype(int)
    assert np.abs(found - decode(smooth, form).astype(int)).max() < 6
