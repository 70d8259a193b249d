from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pictures import noise
from PIL import Image

from edgedistill.data import open_split, prepare
from edgedistill.errors import UserError
from edgedistill.recipe import ArraysData, DigitsData, FolderData


def folder(train: Path, test: Path | None = None, **options) -> FolderData:
    return FolderData(source="folder", train=train, test=test, image_size=8, **options)


def error_of(data, tmp_path, reporter) -> UserError:
    with pytest.raises(UserError) as caught:
        prepare(data, "classification", 0, tmp_path / "out", reporter)
    return caught.value


def contents(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }


def test_splits_hold_every_image_once(make_folder, tmp_path, reporter):
    train = make_folder("train", cat=10, dog=20)
    metrics = prepare(folder(train), "classification", 0, tmp_path / "out", reporter)
    document = json.loads((tmp_path / "out" / "data.json").read_text())
    assert metrics["counts"] == {"train": 21, "validation": 3, "test": 6}
    assert document["classes"] == ["cat", "dog"]
    assert document["pictures"]["size"] == [8, 8]
    assert document["pictures"]["channels"] == 3
    assert document["counts"] == metrics["counts"]
    assert document["class_counts"]["test"] == {"cat": 2, "dog": 4}
    assert metrics["duplicates"]["exact"] == {
        "train/validation": 0,
        "train/test": 0,
        "validation/test": 0,
    }
    expected = sorted(np.asarray(Image.open(path)).tobytes() for path in train.rglob("*.png"))
    stored = [
        image.tobytes()
        for name in ("train", "validation", "test")
        for image in open_split(tmp_path / "out", name).images
    ]
    assert sorted(stored) == expected
    assert ("decode", 30, 30) in reporter.ticks
    assert reporter.said == []


def test_the_test_set_does_not_depend_on_the_seed(tmp_path, reporter):
    data = DigitsData(source="digits", image_size=8)
    for seed in (0, 1):
        prepare(data, "classification", seed, tmp_path / str(seed), reporter)
    first, second = contents(tmp_path / "0"), contents(tmp_path / "1")
    assert first["test/images.npy"] == second["test/images.npy"]
    assert first["validation/images.npy"] != second["validation/images.npy"]
    assert len(open_split(tmp_path / "0", "test")) == 359
    assert reporter.said == []


def test_the_same_seed_gives_the_same_bytes_whatever_was_there(make_folder, tmp_path, reporter):
    data = folder(make_folder("train", cat=9, dog=9))
    prepare(data, "classification", 3, tmp_path / "a", reporter)
    prepare(data, "classification", 9, tmp_path / "b", reporter)
    prepare(data, "classification", 3, tmp_path / "b", reporter)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_limit_takes_a_balanced_part(make_folder, tmp_path, reporter):
    train, test = make_folder("train", cat=30, dog=10), make_folder("test", cat=2, dog=2)
    metrics = prepare(
        folder(train, test, limit=12), "classification", 0, tmp_path / "out", reporter
    )
    assert metrics["counts"] == {"train": 10, "validation": 2, "test": 4}
    assert metrics["class_counts"]["train"] == {"cat": 5, "dog": 5}


def test_grey_arrays_become_the_wanted_size_and_channels(tmp_path, reporter):
    images = np.stack([noise(at, 10, 1)[..., 0] for at in range(40)])
    np.savez(tmp_path / "a.npz", images=images, labels=np.arange(40) % 2)
    np.savez(tmp_path / "b.npz", images=images[:4] // 2, labels=np.arange(4) % 2)
    data = ArraysData(
        source="arrays", train=tmp_path / "a.npz", test=tmp_path / "b.npz", image_size=8
    )
    prepare(data, "classification", 0, tmp_path / "out", reporter)
    assert open_split(tmp_path / "out", "test").images.shape == (4, 8, 8, 3)


def test_duplicates_across_splits_are_counted_named_and_said(make_folder, tmp_path, reporter):
    train, test = make_folder("train", cat=9, dog=9), make_folder("test", cat=3, dog=3)
    copy = Image.open(train / "cat" / "3.png")
    copy.save(test / "dog" / "1.png")
    nearly = np.asarray(Image.open(train / "dog" / "4.png")).astype(int) + 3
    Image.fromarray(np.clip(nearly, 0, 255).astype(np.uint8)).save(test / "cat" / "2.png")
    metrics = prepare(folder(train, test), "classification", 1, tmp_path / "out", reporter)
    found = json.loads((tmp_path / "out" / "data.json").read_text())["duplicates"]
    names = {(each.get("train") or each.get("validation"), each["test"], each["exact"])
             for each in found["examples"]}  # fmt: skip
    assert names == {
        ("train/cat/3.png", "test/dog/1.png", True),
        ("train/dog/4.png", "test/cat/2.png", False),
    }
    assert sum(metrics["duplicates"]["exact"].values()) == 1
    assert sum(metrics["duplicates"]["near"].values()) == 1
    assert {"cat", "dog"} == set(found["examples"][0]["classes"])
    assert any("test images are in train too" in line for line in reporter.said)


def test_one_class_only(make_folder, tmp_path, reporter):
    error = error_of(folder(make_folder("train", cat=5)), tmp_path, reporter)
    assert error.message == "there is one class only: `cat`"
    assert error.hint == "classification needs at least two"


def test_a_class_missing_from_the_test_set(make_folder, tmp_path, reporter):
    train, test = make_folder("train", cat=5, dog=5), make_folder("test", cat=2)
    error = error_of(folder(train, test), tmp_path, reporter)
    assert error.message == "data: class `dog` has no images in test"
    assert error.hint == (
        "each class needs at least one image in each of train, validation and test; "
        "validation is taken from train"
    )
    assert not (tmp_path / "out").exists()


def test_a_class_with_one_image_cannot_validate(make_folder, tmp_path, reporter):
    train, test = make_folder("train", cat=5, dog=1), make_folder("test", cat=2, dog=2)
    error = error_of(folder(train, test), tmp_path, reporter)
    assert error.message == "data: class `dog` has no images in validation"


def test_a_limit_too_small_for_the_classes(tmp_path, reporter):
    error = error_of(DigitsData(source="digits", limit=15), tmp_path, reporter)
    assert error.message == "data.limit: 15 images are too few for 10 classes"
    assert error.hint == "each needs one to train and one to validate on: at least 20"


def test_an_image_that_cannot_be_decoded_is_named(make_folder, tmp_path, reporter):
    train = make_folder("train", cat=10, dog=10)
    (train / "dog" / "4.png").write_bytes(b"no picture")
    error = error_of(folder(train), tmp_path, reporter)
    assert error.message == (
        "train/dog/4.png: cannot be decoded: not a picture in a format that edgedistill reads"
    )
    assert error.hint == (
        "mend or remove it, or allow some with `data.skip_unreadable`, a share such as 0.01"
    )


def test_a_share_of_damaged_images_may_be_left_out(make_folder, tmp_path, reporter):
    train = make_folder("train", cat=20, dog=20)
    (train / "dog" / "4.png").write_bytes(b"no picture")
    metrics = prepare(
        folder(train, skip_unreadable=0.05), "classification", 0, tmp_path / "out", reporter
    )
    assert sum(metrics["counts"].values()) == 39
    assert metrics["skipped"] == 1
    assert len(open_split(tmp_path / "out", "train").images) == metrics["counts"]["train"]
    assert reporter.said == [
        "data: images left out: 1 (class dog: 1 of 20); first train/dog/4.png: cannot be "
        "decoded: not a picture in a format that edgedistill reads"
    ]


def test_more_damaged_images_than_allowed(make_folder, tmp_path, reporter):
    train = make_folder("train", cat=10, dog=10)
    for number in range(3):
        (train / "dog" / f"{number}.png").write_bytes(b"no picture")
    error = error_of(folder(train, skip_unreadable=0.1), tmp_path, reporter)
    assert error.message.startswith(
        "3 images or more of 20 cannot be decoded, past `data.skip_unreadable: 0.1`; "
        "first train/dog/0.png: cannot be decoded"
    )


def test_images_of_another_kind_are_refused_if_the_recipe_says_so(make_folder, tmp_path, reporter):
    train = make_folder("train", cat=10, dog=10)
    Image.new("L", (8, 8)).save(train / "cat" / "0.png")
    prepare(folder(train), "classification", 0, tmp_path / "converted", reporter)
    data = folder(train, convert_channels=False, skip_unreadable=0.5)
    error = error_of(data, tmp_path, reporter)
    assert error.message == ("train/cat/0.png: is a grey image where 3 channels (RGB) are meant")
    assert error.hint == (
        "set `data.convert_channels: true` to convert such images, or `data.channels: 1`"
    )


def test_a_full_disk_is_left_to_the_pipeline(make_folder, tmp_path, reporter):
    data = folder(make_folder("train", cat=9, dog=9))
    for split in ("train", "validation", "test"):
        (tmp_path / "out" / split).mkdir(parents=True)
        (tmp_path / "out" / split / "images.npy").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device"):
        prepare(data, "classification", 0, tmp_path / "out", reporter)


def test_a_caption_has_the_class_s_name_where_its_braces_are(make_folder, tmp_path, reporter):
    data = folder(make_folder("train", cat=10, dog=10), caption="a {} in a {frame}")
    prepare(data, "retrieval", 0, tmp_path / "out", reporter, embedding=4)
    document = json.loads((tmp_path / "out" / "data.json").read_text())
    assert document["captions"] == ["a cat in a {frame}", "a dog in a {frame}"]
    assert len(document["classes"]) == 4


def test_images_without_numbers_are_found_again_and_counted(tmp_path, reporter):
    images = np.stack([noise(at, 8) for at in range(40)])
    for name, part in (("a", slice(0, 30)), ("b", slice(30, 40))):
        np.savez(tmp_path / f"{name}.npz", images=images[part], labels=np.linspace(0, 1, 40)[part])
    (tmp_path / "more").mkdir()
    Image.fromarray(images[35]).save(tmp_path / "more" / "twin.png")
    data = ArraysData(
        source="arrays", train=tmp_path / "a.npz", test=tmp_path / "b.npz", image_size=8,
        unlabelled=tmp_path / "more",
    )  # fmt: skip
    metrics = prepare(data, "regression", 0, tmp_path / "out", reporter)
    labels = open_split(tmp_path / "out", "train").labels
    assert (metrics["unlabelled"], int(np.isnan(labels).sum())) == (1, 1)
    (twin,) = json.loads((tmp_path / "out" / "data.json").read_text())["duplicates"]["examples"]
    assert twin["classes"] == [None, [pytest.approx(35 / 39)]]


def test_images_need_not_be_square(make_folder, tmp_path, reporter):
    data = folder(make_folder("train", cat=10, dog=20)).model_copy(
        update={"image_size": (8, 12), "resize": "stretch"}
    )
    prepare(data, "classification", 0, tmp_path / "out", reporter)
    document = json.loads((tmp_path / "out" / "data.json").read_text())
    assert document["pictures"] == {"size": [8, 12], "resize": "stretch", "channels": 3}
    split = open_split(tmp_path / "out", "train")
    assert split.images.shape[1:] == (8, 12, 3)
    assert split.pixels(np.arange(2)).shape == (2, 3, 8, 12)
