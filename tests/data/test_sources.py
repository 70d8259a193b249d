from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pictures import noise
from PIL import Image

from edgedistill.data.fingerprint import listing
from edgedistill.data.image.decode import Form, decode
from edgedistill.data.sources import open_source
from edgedistill.data.sources.base import check_labels, class_names, read_labels, require
from edgedistill.errors import UserError
from edgedistill.recipe import (
    ArraysData,
    DigitsData,
    FolderData,
    FunctionData,
    HuggingFaceData,
    ManifestData,
    ParquetData,
    TorchvisionData,
)

DEPTH = 1100


def png(image: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    return stream.getvalue()


def write_parquet(path: Path, labels, names=("cat", "dog"), column="img", rows=3) -> Path:
    images = [{"bytes": png(noise(at)), "path": f"{at}.png"} for at in range(len(labels))]
    table = pa.table({column: images, "label": labels})
    if names:
        features = {
            column: {"_type": "Image"},
            "label": {"names": list(names), "_type": "ClassLabel"},
        }
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        table = table.replace_schema_metadata(metadata)
    pq.write_table(table, path, row_group_size=rows)
    return path


def parquet(train: Path, test: Path, **options) -> ParquetData:
    return ParquetData(source="parquet", train=train, test=test, image_size=8, **options)


def error_of(data) -> UserError:
    with pytest.raises(UserError) as caught:
        open_source(data)
    return caught.value


# --- digits


def test_digits_are_scaled_to_bytes():
    source = open_source(DigitsData(source="digits"))
    images = list(source.train.read(np.array([0, 3])))
    assert source.classes == tuple("0123456789")
    assert len(source.train.labels) == 1797
    assert source.test is None
    assert images[0].dtype == np.uint8
    assert images[0].max() == 239  # 15 of 16
    assert source.train.name(3) == "digit 3"


# --- folder


def test_folder_takes_class_names_from_folders(make_folder):
    root = make_folder("train", dog=2, cat=3)
    source = open_source(FolderData(source="folder", train=root, image_size=8))
    assert source.classes == ("cat", "dog")
    assert source.train.labels.tolist() == [0, 0, 0, 1, 1]
    assert source.train.name(4) == "train/dog/1.png"
    assert list(source.train.read(np.array([4]))) == [str(root / "dog" / "1.png")]


def test_folder_says_what_it_passed_over(make_folder):
    root = make_folder("train", cat=2, dog=2)
    (root / "cat" / "notes.txt").write_text("no image")
    (root / "cat" / ".hidden.png").write_text("no image")
    source = open_source(FolderData(source="folder", train=root, image_size=8))
    assert source.notes == (
        f"{root}: class cat: 1 of 3 files are .txt, passed over: no kind of image that is read; "
        "convert what is a photo; first cat/notes.txt",
    )


def test_folder_hears_of_a_link_to_nowhere(make_folder):
    root = make_folder("train", cat=2, dog=2)
    (root / "dog" / "gone.png").symlink_to(root / "nowhere.png")
    source = open_source(FolderData(source="folder", train=root, image_size=8))
    named = [source.train.name(at) for at in range(len(source.train.labels))]
    assert any(name.endswith("dog/gone.png") for name in named)


def test_folder_that_is_missing(tmp_path):
    error = error_of(FolderData(source="folder", train=tmp_path / "no", image_size=8))
    assert error.message == f"folder not found: {tmp_path / 'no'}"


def test_folder_that_is_empty(tmp_path):
    error = error_of(FolderData(source="folder", train=tmp_path, image_size=8))
    assert error.message == f"{tmp_path}: has no class folders"
    assert error.hint == "put the images of each class into a folder of their own: train/cat/1.png"


def test_folder_without_images(tmp_path):
    (tmp_path / "cat").mkdir()
    error = error_of(FolderData(source="folder", train=tmp_path, image_size=8))
    assert error.message == f"{tmp_path}: there are no images in its class folders"


def test_folder_whose_test_has_another_class(make_folder):
    train, test = make_folder("train", cat=1, dog=1), make_folder("test", cat=1, dogs=1)
    error = error_of(FolderData(source="folder", train=train, test=test, image_size=8))
    assert error.message == f"{test}: class `dogs` has no folder in {train}"
    assert error.hint == "did you mean `dog`?"


# --- parquet


def test_parquet_takes_class_names_from_its_metadata(tmp_path):
    train = write_parquet(tmp_path / "train.parquet", [0, 1, 1, 0, 1, 0, 1])
    source = open_source(parquet(train, train))
    assert source.classes == ("cat", "dog")
    assert source.train.labels.tolist() == [0, 1, 1, 0, 1, 0, 1]
    images = list(source.train.read(np.array([1, 5, 6])))
    assert images == [png(noise(at)) for at in (1, 5, 6)]
    assert source.train.name(5) == "train.parquet row 5"


def test_parquet_may_be_a_folder_of_files(tmp_path):
    write_parquet(tmp_path / "a.parquet", [0, 1])
    write_parquet(tmp_path / "b.parquet", [1, 1, 0])
    samples = open_source(parquet(tmp_path, tmp_path)).train
    assert samples.labels.tolist() == [0, 1, 1, 1, 0]
    assert list(samples.read(np.array([1, 3]))) == [png(noise(1)), png(noise(1))]
    assert samples.name(4) == "b.parquet row 2"


def test_parquet_without_names_is_numbered_or_named_by_the_recipe(tmp_path):
    file = write_parquet(tmp_path / "a.parquet", [0, 1, 2], names=None)
    assert open_source(parquet(file, file)).classes == ("0", "1", "2")
    assert open_source(parquet(file, file, classes=("x", "y", "z"))).classes == ("x", "y", "z")


def test_parquet_with_plain_bytes(tmp_path):
    pq.write_table(
        pa.table({"img": [png(noise(0)), None], "label": [0, 1]}), tmp_path / "a.parquet"
    )
    samples = open_source(parquet(tmp_path / "a.parquet", tmp_path / "a.parquet")).train
    assert list(samples.read(np.arange(2))) == [png(noise(0)), None]


def test_parquet_with_a_missing_column(tmp_path):
    file = write_parquet(tmp_path / "a.parquet", [0, 1], column="image")
    error = error_of(parquet(file, file, image="imge"))
    assert error.message == f"{file}: has no column `imge`"
    assert error.hint == "did you mean `image`?"


def test_parquet_that_is_none(tmp_path):
    file = tmp_path / "a.parquet"
    file.write_bytes(b"this is no parquet file")
    assert error_of(parquet(file, file)).message.startswith(
        f"{file}: cannot be read: ArrowInvalid: "
    )


def test_parquet_that_is_missing(tmp_path):
    file = tmp_path / "a.parquet"
    assert error_of(parquet(file, file)).message == f"parquet file not found: {file}"
    error = error_of(parquet(tmp_path, tmp_path))
    assert error.message == f"{tmp_path}: there are no .parquet files in this folder"


def test_parquet_without_a_test_set(tmp_path):
    train = write_parquet(tmp_path / "a.parquet", [0, 1] * 5)
    source = open_source(ParquetData(source="parquet", train=train, image_size=8, test_share=0.3))
    assert source.test is None
    assert source.test_share == 0.3


def test_a_manifest_of_pictures(tmp_path):
    for name in ("cat", "dog"):
        Image.fromarray(noise(len(name) + ord(name[0]))).save(tmp_path / f"{name}.png")
    lines = [{"path": f"{name}.png", "label": name} for name in ("dog", "cat", "dog")]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    source = open_source(ManifestData(source="manifest", train=tmp_path / "a.jsonl", image_size=8))
    assert source.classes == ("cat", "dog")
    assert source.train.labels.tolist() == [1, 0, 1]
    assert source.train.name(1) == "cat.png"
    first, second = (decode(each, Form((8, 8), 3)) for each in source.train.read(np.arange(2)))
    np.testing.assert_array_equal(first, noise(3 + ord("d")))
    np.testing.assert_array_equal(second, noise(3 + ord("c")))


def test_parquet_with_labels_that_are_no_numbers(tmp_path):
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"img": [b"", b""], "label": ["cat", "dog"]}), file)
    assert error_of(parquet(file, file)).message == (
        f"{file}: column `label`: labels are <U3 of shape (2,)"
    )


def test_parquet_with_empty_labels(tmp_path):
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"img": [b"", b""], "label": [0, None]}), file)
    assert error_of(parquet(file, file)).message == f"{file}: column `label` has 1 empty labels"


def test_parquet_whose_files_name_classes_differently(tmp_path):
    train = write_parquet(tmp_path / "train.parquet", [0, 1])
    test = write_parquet(tmp_path / "test.parquet", [0, 1], names=("dog", "cat"))
    error = error_of(parquet(train, test))
    assert error.message == f"{test}: its class names are not those of {train}"


def test_label_outside_the_classes(tmp_path):
    file = write_parquet(tmp_path / "a.parquet", [0, 1, 2, 5])
    source = open_source(parquet(file, file))
    with pytest.raises(UserError) as caught:
        check_labels(source.train, source.classes)
    assert caught.value.message == (
        "a.parquet row 2: label 2 is outside the 2 classes (0..1); 2 such in all"
    )


def test_parquet_with_lists_of_numbers(tmp_path):
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"img": [b"", b""], "label": [[0, 1, 1], [1, 0, 0]]}), file)
    source = open_source(parquet(file, file), "multilabel")
    assert source.classes == ("0", "1", "2")
    assert source.train.labels.tolist() == [[0, 1, 1], [1, 0, 0]]
    assert source.train.labels.dtype == np.float32
    pq.write_table(pa.table({"img": [b"", b""], "label": [[0, 1, 1], [1, 0]]}), file)
    assert "not as many labels for each image" in error_of(parquet(file, file)).message


def test_numbers_are_no_classes_but_classes_are_numbers(tmp_path):
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"img": [b"", b""], "label": [0.5, 2.0]}), file)
    error = error_of(parquet(file, file))
    assert error.message == (
        "a.parquet row 0: its label is [0.5]; a class, as a whole number, is meant"
    )
    assert "`task: regression`" in error.hint
    assert open_source(parquet(file, file), "regression").train.labels.tolist() == [[0.5], [2.0]]
    file = write_parquet(tmp_path / "b.parquet", [3, 1])
    assert open_source(parquet(file, file), "regression").train.labels.tolist() == [[3.0], [1.0]]


def test_labels_that_the_task_cannot_have(tmp_path):
    source = open_source(arrays(tmp_path / "a.npz", images=np.zeros((2, 8, 8), np.uint8),
                                labels=np.array([[0.0, 1.0], [0.5, np.nan]])),
                         "multilabel")  # fmt: skip
    with pytest.raises(UserError) as caught:
        check_labels(source.train, source.classes, "multilabel")
    assert caught.value.message == "a.npz image 1: label [0.5, nan]; 1 such in all"
    assert caught.value.hint == "give 0 or 1 for each class"
    with pytest.raises(UserError, match=r"label \[0\.5, nan\]; 1 such"):
        check_labels(source.train, source.classes, "regression")
    with pytest.raises(UserError, match=r"2 values for the 3 names in `data\.classes`"):
        check_labels(source.train, ("a", "b", "c"), "regression")


# --- arrays


def arrays(path: Path, **members) -> ArraysData:
    np.savez(path, **members)
    return ArraysData(source="arrays", train=path, test=path, image_size=8)


def test_arrays_are_read_in_pieces(tmp_path):
    images = np.stack([noise(at) for at in range(5)])
    data = arrays(tmp_path / "a.npz", images=images, labels=np.array([0, 1, 2, 0, 1]))
    source = open_source(data)
    assert source.classes == ("0", "1", "2")
    read = list(source.train.read(np.array([1, 2, 4])))
    assert np.array_equal(read, images[[1, 2, 4]])
    assert source.train.name(2) == "a.npz image 2"


def test_arrays_may_be_compressed_and_grey(tmp_path):
    images = np.stack([noise(at, channels=1)[..., 0] for at in range(3)])
    np.savez_compressed(tmp_path / "a.npz", images=images, labels=[0, 1, 0])
    data = ArraysData(
        source="arrays", train=tmp_path / "a.npz", test=tmp_path / "a.npz", image_size=8
    )
    assert np.array_equal(list(open_source(data).train.read(np.arange(3))), images)


@pytest.mark.parametrize(
    ("members", "message", "hint"),
    [
        (
            {"image": np.zeros((2, 8, 8), np.uint8), "labels": [0, 1]},
            "has no array `images`",
            "did you mean `image`?",
        ),
        (
            {"images": np.zeros((2, 8, 8, 3)), "labels": [0, 1]},
            "`images` are float64, not uint8",
            "give pixels as uint8 in 0..255",
        ),
        (
            {"images": np.zeros((2, 8), np.uint8), "labels": [0, 1]},
            "`images` have shape (2, 8)",
            "give (samples, height, width) or (samples, height, width, channels)",
        ),
        (
            {"images": np.zeros((2, 8, 8), np.uint8), "labels": [0, 1, 1]},
            "2 images but 3 labels",
            "give each image a label",
        ),
        (
            {"images": np.zeros((2, 8, 8), np.uint8), "labels": ["cat", "dog"]},
            "`labels`: labels are <U3 of shape (2,)",
            "give a whole number for each image, or numbers, as many for each",
        ),
        (
            {"images": np.zeros((2, 8, 8), np.uint8), "labels": np.array(["a", 1], object)},
            "`labels` are Python objects, which only a pickle can hold",
            "save them as numbers",
        ),
        (
            {"images": np.array([None, 1]), "labels": [0, 1]},
            "`images` are object, not uint8",
            "give pixels as uint8 in 0..255",
        ),
    ],
)
def test_arrays_of_the_wrong_kind(tmp_path, members, message, hint):
    path = tmp_path / "a.npz"
    error = error_of(arrays(path, **members))
    assert error.message == f"{path}: {message}"
    assert error.hint == hint


def test_arrays_that_are_none(tmp_path):
    path = tmp_path / "a.npz"
    data = ArraysData(source="arrays", train=path, test=path, image_size=8)
    assert error_of(data).message == f"file not found: {path}"
    path.write_bytes(b"\x80\x04]\x94.")
    assert error_of(data).message == f"{path}: cannot be read: BadZipFile: File is not a zip file"


# --- function

MODULE = """
import numpy as np
calls = 0

def samples(split):
    for label in (0, 1, 0):
        yield np.full((8, 8, 3), 10 * label, np.uint8), label

def unsteady(split):
    global calls
    calls += 1
    for at in range(3):
        yield np.zeros((8, 8, 3), np.uint8), int(calls > 2)

def shrinking(split):
    global calls
    calls += 1
    for at in range(6 - calls):
        yield np.zeros((8, 8, 3), np.uint8), 0

def odd(split):
    yield np.zeros((8, 8, 3), np.uint8)

def nothing(split):
    return []
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_samples.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield lambda name: FunctionData(
        source="function", function=name, classes=("a", "b"), image_size=8
    )
    sys.modules.pop("own_samples", None)


def test_function_of_the_user(own):
    source = open_source(own("own_samples:samples"))
    assert source.classes == ("a", "b")
    assert source.test is not None
    assert source.test.labels.tolist() == [0, 1, 0]
    images = list(source.train.read(np.array([1])))
    assert len(images) == 1
    assert images[0][0, 0, 0] == 10
    assert source.test.name(2) == "test sample 2"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "no_such_module:samples",
            "data.function: no module `no_such_module` (from `no_such_module:samples`)",
        ),
        ("own_samples:sample", "data.function: `own_samples` has no function `sample`"),
        (
            "own_samples:odd",
            'own_samples:odd("train"): sample 0 is ndarray, not a pair (image, label)',
        ),
        ("own_samples:nothing", 'own_samples:nothing("train") gave no samples'),
    ],
)
def test_function_that_does_not_do(own, name, message):
    assert error_of(own(name)).message == message


@pytest.mark.parametrize("name", ["unsteady", "shrinking"])
def test_function_that_changes_its_mind(own, name):
    samples = open_source(own(f"own_samples:{name}")).train
    with pytest.raises(UserError) as caught:
        list(samples.read(np.arange(len(samples.labels))))
    assert caught.value.message == (
        f'own_samples:{name}("train") gave other samples the second time it was called'
    )


# --- libraries


def test_package_that_is_missing():
    with pytest.raises(UserError) as caught:
        require("no_such_package.inner", "no-such-package", "`huggingface` data")
    assert caught.value.message == (
        "`huggingface` data needs the package `no-such-package`, which is not installed"
    )
    assert caught.value.hint == "pip install no-such-package"


def test_torchvision_by_name(monkeypatch):
    import torchvision.datasets

    class Two:
        def __init__(self, root, train, download=False):
            self.targets = [0, 1, 0] if train else [1, 0]
            self.classes = ["left", "right"]

        def __len__(self):
            return len(self.targets)

        def __getitem__(self, at):
            return Image.fromarray(noise(at)), self.targets[at]

    monkeypatch.setattr(torchvision.datasets, "CIFAR10", Two)
    source = open_source(
        TorchvisionData(source="torchvision", name="CIFAR10", root=Path(), image_size=8)
    )
    assert source.classes == ("left", "right")
    assert source.train.labels.tolist() == [0, 1, 0]
    assert source.test is not None
    assert np.array_equal(next(source.test.read(np.array([1]))), noise(1))


def test_torchvision_that_is_not_there(tmp_path):
    data = TorchvisionData(source="torchvision", name="CIFAR10", root=tmp_path, image_size=8)
    error = error_of(data)
    assert error.message.startswith(
        f"{tmp_path}: torchvision's CIFAR10 (train): cannot be read: RuntimeError: Dataset not"
    )
    assert error.hint == "put the files there, or set `data.download: true`"
    error = error_of(data.model_copy(update={"name": "CIFAR11"}))
    assert error.message == "torchvision has no data set `CIFAR11`"
    assert error.hint == "did you mean `CIFAR10`?"


def test_huggingface_from_a_folder(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])}
    )
    rows = {
        "image": [{"bytes": png(noise(at)), "path": None} for at in range(4)],
        "label": [0, 1, 1, 0],
    }
    split = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({"train": split, "test": split}).save_to_disk(tmp_path / "set")
    data = HuggingFaceData(source="huggingface", name=str(tmp_path / "set"), image_size=8)
    source = open_source(data)
    assert source.classes == ("cat", "dog")
    assert source.train.labels.tolist() == [0, 1, 1, 0]
    assert list(source.train.read(np.array([1, 3]))) == [png(noise(1)), png(noise(3))]
    error = error_of(data.model_copy(update={"test": "tset"}))
    assert error.message == f"{data.name}: has no split `tset`"
    assert error.hint == "did you mean `test`?"
    error = error_of(data.model_copy(update={"image": "img"}))
    assert error.message == f"{data.name}: has no column `img`"
    error = error_of(data.model_copy(update={"image": "label"}))
    assert error.message == f"{data.name}: column `label` holds no images"
    empty = tmp_path / "empty"
    empty.mkdir()
    error = error_of(data.model_copy(update={"name": str(empty)}))
    assert error.message.startswith(f"Hugging Face data set `{empty}`: cannot be read: ")


def test_a_function_may_give_plain_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "numbers_of_mine.py").write_text(
        "import numpy as np\n"
        "def give(split):\n"
        "    for value in (0.37, 0.1, 2):\n"
        "        yield np.zeros((8, 8), np.uint8), value\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    data = FunctionData(source="function", function="numbers_of_mine:give", classes=("length",),
                        image_size=8, channels=1)  # fmt: skip
    source = open_source(data, "regression")
    assert len(list(source.train.read(np.arange(3)))) == 3


# --- what every source has: labels and names of classes


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 10**12], "data: label 1000000000000; at most 1000000 classes are read"),
        (np.array([0, 2**64 - 1], np.uint64), "label 18446744073709551615 of image 1 is too large"),
        ([np.nan, 1.0], "its label is [nan]; a class, as a whole number, is meant"),
        ([np.inf, 1.0], "its label is [inf]; a class, as a whole number, is meant"),
    ],
)
def test_numbers_that_are_no_classes(tmp_path, labels, message):
    data = arrays(tmp_path / "a.npz", images=np.zeros((2, 8, 8), np.uint8), labels=labels)
    error = error_of(data)
    assert message in error.message
    assert error.hint


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (5, "x: labels are int64 of shape ()"),
        ([2**70, 1], "x: labels are object of shape (2,)"),
        ([None, 1], "x: labels are object of shape (2,)"),
        ([[], []], "x: labels are float64 of shape (2, 0)"),
        ([{}, {}], "x: labels are object of shape (2,)"),
    ],
)
def test_values_that_are_no_labels(values, message):
    with pytest.raises(UserError) as caught:
        read_labels(values, "x")
    assert caught.value.message == message


def test_numbers_past_float32_are_told_of_as_infinite(tmp_path):
    path = tmp_path / "a.npz"
    data = arrays(path, images=np.zeros((2, 8, 8), np.uint8), labels=[1e300, 0.5])
    with pytest.raises(UserError, match="label \\[inf\\]; 1 such"):
        check_labels(open_source(data, "regression").train, ("a",), "regression")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a", "b", "a"), "data.classes: two classes are named `a`"),
        (("a", ""), "data.classes: the name of class 1 is empty"),
        (("a", "\ud83d"), "data.classes: the name of class 1 is no UTF-8 text: `\\ud83d`"),
    ],
)
def test_names_that_are_none(names, message):
    with pytest.raises(UserError) as caught:
        class_names(names, np.array([0, 1]))
    assert caught.value.message == message


def test_a_class_folder_whose_name_is_no_text(make_folder):
    root = make_folder("train", cat=1, dog=1)
    (root / os.fsdecode(b"\xff\xfe")).mkdir()
    error = error_of(FolderData(source="folder", train=root, image_size=8))
    assert error.message == f"{root}: the name of class folder `\\xff\\xfe` is no UTF-8 text"


def test_a_file_whose_name_is_no_text_has_one_that_can_be_written(make_folder):
    root = make_folder("train", cat=1, dog=1)
    for name in (b"\xff.png", b"\xff.txt"):
        Path(root / "cat" / os.fsdecode(name)).write_bytes((root / "cat" / "0.png").read_bytes())
    source = open_source(FolderData(source="folder", train=root, image_size=8))
    names = [source.train.name(at) for at in range(3)]
    assert names == ["train/cat/0.png", "train/cat/\\xff.png", "train/dog/0.png"]
    assert source.notes[0].endswith("first cat/\\xff.txt")
    assert decode(next(source.train.read(np.array([1]))), Form((8, 8), 3)).shape == (8, 8, 3)


def test_folders_that_lead_into_themselves_are_gone_through_once(make_folder):
    root = make_folder("train", cat=1, dog=1)
    for name in ("a", "b"):
        (root / "cat" / name).symlink_to(root)
    data = FolderData(source="folder", train=root, image_size=8)
    assert len(open_source(data).train.labels) == 2
    assert len(listing(root)) == 2


@pytest.fixture
def deep(make_folder, monkeypatch):
    """Folders in folders, more than Python calls functions in functions. Taken away from within:
    what clears up after tests would not get that deep."""
    root = make_folder("train", cat=1, dog=1)
    monkeypatch.chdir(root / "dog")
    for _ in range(DEPTH):
        os.mkdir("d")
        os.chdir("d")
    yield root
    os.chdir(root / "dog" / "/".join("d" * DEPTH))
    for _ in range(DEPTH):
        os.chdir("..")
        os.rmdir("d")


def test_folders_may_be_deep(deep):
    data = FolderData(source="folder", train=deep, image_size=8)
    assert len(open_source(data).train.labels) == 2
    assert len(listing(deep)) == 2


# --- a function that does anything

ANYTHING = """
import os, sys
import numpy as np

class Odd(BaseException):
    def __str__(self):
        raise KeyError

class Array:
    def __array__(self, *_, **__):
        raise IndexError("mine")

def image():
    return np.zeros((8, 8, 3), np.uint8)

def raises(split):
    raise KeyError("mine")

def leaves(split):
    sys.exit(0)

def leaves_at_once(split):
    os._exit(0)

def odd(split):
    raise Odd

def deep(split):
    return deep(split)

def later(split):
    yield image(), 0
    sys.exit(7)

def stops(split):
    raise StopIteration

def closes(split):
    raise GeneratorExit

def none(split):
    return None

def number(split):
    return 5

def labels(split):
    yield image(), Array()

def texts(split):
    yield image(), "cat"

def objects(split):
    yield np.array([object()]), 0
    yield image(), 1

def lists(split):
    yield [1, 2], 0
    yield image(), 1
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("raises", "failed in anything.py line 16: KeyError: 'mine'"),
        ("leaves", "failed in anything.py line 19: SystemExit: 0"),
        ("leaves_at_once", "failed in anything.py line 22: SystemExit: 0"),
        ("odd", "failed in anything.py line 25: Odd"),
        ("deep", "failed in anything.py line 28: RecursionError: maximum recursion depth"),
        ("later", "failed in anything.py line 32: SystemExit: 7"),
        ("stops", "failed in anything.py line 35: StopIteration"),
        ("closes", "failed in anything.py line 38: GeneratorExit"),
        ("none", "gave NoneType, nothing to go through"),
        ("number", "gave int, nothing to go through"),
        ("labels", "failed in anything.py line 10: IndexError: mine"),
        ("texts", "labels are <U3 of shape (1,)"),
        ("objects", "sample 0 has an array of objects for an image"),
        ("lists", "sample 0 has list for an image"),
    ],
)
def test_a_function_that_does_anything(tmp_path, monkeypatch, name, message):
    (tmp_path / "anything.py").write_text(ANYTHING.lstrip())
    monkeypatch.syspath_prepend(tmp_path)
    data = FunctionData(
        source="function", function=f"anything:{name}", classes=("a", "b"), image_size=8
    )
    with pytest.raises(UserError) as caught:
        list(open_source(data).train.read(np.arange(2)))
    assert message in caught.value.message
    assert caught.value.hint


def test_a_users_ctrl_c_is_no_mistake_of_the_functions(tmp_path, monkeypatch):
    (tmp_path / "interrupted.py").write_text("def give(split): raise KeyboardInterrupt\n")
    monkeypatch.syspath_prepend(tmp_path)
    data = FunctionData(
        source="function", function="interrupted:give", classes=("a", "b"), image_size=8
    )
    with pytest.raises(KeyboardInterrupt):
        open_source(data)
