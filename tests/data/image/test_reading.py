from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pictures import noise
from PIL import Image

from edgedistill.data import Form, open_split, prepare, read_images, to_pixels
from edgedistill.errors import UserError
from edgedistill.recipe import DigitsData

CLASSES = ("dog", "cat", "owl")


def error_of(path: Path, classes=CLASSES) -> UserError:
    with pytest.raises(UserError) as caught:
        read_images(path, classes, Form((8, 8), 3))
    return caught.value


def write_parquet(path: Path, labels, names=None) -> Path:
    Image.fromarray(noise(1)).save(path.with_suffix(".png"))
    image = path.with_suffix(".png").read_bytes()
    table = pa.table({"picture": [image] * len(labels), "label": labels})
    features = {"picture": {"_type": "Image"}}
    if names:
        features["label"] = {"_type": "ClassLabel", "names": names}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path


def test_folders_are_matched_by_name(make_folder):
    split = read_images(make_folder("more", cat=2, dog=1), CLASSES, Form((8, 8), 3))
    assert split.labels.tolist() == [1, 1, 0]
    assert split.samples.shape == (3, 8, 8, 3)


def test_parquet_is_matched_by_name_or_else_by_number(tmp_path):
    named = write_parquet(tmp_path / "a.parquet", [0, 1], names=["cat", "dog"])
    numbered = write_parquet(tmp_path / "b.parquet", [0, 2])
    assert read_images(named, CLASSES, Form((8, 8), 3)).labels.tolist() == [1, 0]
    assert read_images(numbered, CLASSES, Form((8, 8), 3)).labels.tolist() == [0, 2]


def test_arrays_are_taken_by_number(tmp_path):
    images = np.stack([noise(at) for at in range(2)])
    np.savez(tmp_path / "a.npz", images=images, labels=[2, 0])
    split = read_images(tmp_path / "a.npz", CLASSES, Form((8, 8), 3))
    assert split.labels.tolist() == [2, 0]
    assert np.array_equal(split.samples, images)


def test_a_recipes_data_give_its_test_set(tmp_path, reporter):
    data = DigitsData(source="digits", image_size=8)
    prepare(data, "classification", 4, tmp_path, reporter)
    prepared, read = (
        open_split(tmp_path, "test"),
        read_images(data, tuple("0123456789"), Form((8, 8), 1)),
    )
    assert np.array_equal(read.samples, prepared.images)
    assert np.array_equal(read.labels, prepared.labels)
    turned = read_images(data, tuple("9876543210"), Form((8, 8), 1))
    assert np.array_equal(turned.labels, 9 - prepared.labels)


def test_a_class_that_the_model_does_not_have(make_folder):
    root = make_folder("more", cat=1, owls=1)
    error = error_of(root)
    assert error.message == f"{root}: class `owls` is not one of the model's 3 classes"
    assert error.hint == "did you mean `owl`?"


def test_a_label_that_the_model_does_not_have(tmp_path):
    error = error_of(write_parquet(tmp_path / "a.parquet", [0, 3]))
    assert error.message == (
        "a.parquet row 1: label 3 is outside the 3 classes (0..2); 1 such in all"
    )


def test_what_cannot_be_read(tmp_path):
    assert error_of(tmp_path / "no.npz").message == f"data not found: {tmp_path / 'no.npz'}"
    (tmp_path / "a.csv").write_text("")
    error = error_of(tmp_path / "a.csv")
    assert error.message == f"{tmp_path / 'a.csv'}: no kind of data that is read"
    assert error.hint == (
        "give a folder with one folder for each class, a .parquet or an .npz file"
    )


def test_damaged_images_are_left_out_and_said(make_folder):
    root = make_folder("more", cat=4, dog=2)
    (root / "cat" / "1.png").write_bytes(b"no picture")
    (root / "dog" / "0.png").write_bytes(b"no picture")
    (root / "dog" / "notes.txt").write_bytes(b"")
    whole = [np.asarray(Image.open(root / "cat" / f"{at}.png")) for at in (0, 2, 3)]
    whole.append(np.asarray(Image.open(root / "dog" / "1.png")))
    read = read_images(root, CLASSES, Form((8, 8), 3))
    assert np.array_equal(read.samples, whole)
    assert read.labels.tolist() == [1, 1, 1, 0]
    assert read.left_out == 2
    reason = "cannot be decoded: not a picture in a format that edgedistill reads"
    assert read.notes == (
        f"{root}: class dog: 1 of 3 files are .txt, passed over: no kind of image that is read; "
        "convert what is a photo; first dog/notes.txt",
        f"2 of 6 images cannot be read and are left out: more/cat/1.png: {reason}, "
        f"more/dog/0.png: {reason}",
    )


def test_damaged_images_of_many_chunks_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr("edgedistill.data.workers.CHUNK_IMAGES", 3)
    Image.fromarray(noise(0)).save(tmp_path / "a.png")
    good, bad = (tmp_path / "a.png").read_bytes(), b"no picture"
    column = [good, bad, good, bad, bad, bad, good, good]
    table = pa.table({"image": column, "label": [0, 1, 2, 0, 1, 2, 0, 1]})
    pq.write_table(table, tmp_path / "a.parquet")
    read = read_images(tmp_path / "a.parquet", CLASSES, Form((8, 8), 3))
    assert read.labels.tolist() == [0, 2, 0, 1]
    assert np.array_equal(read.samples, np.stack([noise(0)] * 4))
    assert read.left_out == 4
    assert read.notes[0].endswith(", ...")


def test_damaged_images_alone_are_an_error(make_folder):
    root = make_folder("more", cat=1)
    (root / "cat" / "0.png").write_bytes(b"no picture")
    assert error_of(root).message.startswith(
        "1 of 1 images cannot be read; first more/cat/0.png: cannot be decoded: "
    )


def test_pixels_of_one_or_many_of_any_kind(tmp_path):
    image = noise(0)
    expected = (image / np.float32(255)).transpose(2, 0, 1)
    Image.fromarray(image).save(tmp_path / "a.png")
    path, picture = tmp_path / "a.png", Image.open(tmp_path / "a.png")
    for one in (image, path, str(path), picture):
        assert np.array_equal(to_pixels(one, Form((8, 8), 3)), expected[None])
    many = to_pixels([image, path, picture], Form((8, 8), 3))
    assert many.dtype == np.float32
    assert np.array_equal(many, np.stack([expected] * 3))
    assert np.array_equal(to_pixels(np.stack([image, image]), Form((8, 8), 3)), many[:2])
    assert to_pixels(image[:, :, 0], Form((8, 8), 1)).shape == (1, 1, 8, 8)
    assert to_pixels([], Form((8, 8), 3)).shape == (0, 3, 8, 8)


def test_pixels_of_what_is_no_image(tmp_path):
    with pytest.raises(UserError) as caught:
        to_pixels(noise(0) / 255, Form((8, 8), 3))
    assert caught.value.message == "image 0: pixels are float64, not uint8"
    assert caught.value.hint == "give pixels as uint8 in 0..255"
    with pytest.raises(UserError) as caught:
        to_pixels([noise(0), tmp_path / "no.png"], Form((8, 8), 3))
    assert caught.value.message.startswith(f"{tmp_path / 'no.png'}: cannot be decoded: ")
