"""Data sets that another library brings: scikit-learn's digits, torchvision, Hugging Face."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data.image.decode import only_meant_formats
from edgedistill.data.sources.base import Samples, Source, class_names, read_labels, require
from edgedistill.errors import UserError, nearest, reading
from edgedistill.recipe import DigitsData, HuggingFaceData, TorchvisionData

DIGITS_TEST_SHARE = 0.2
BATCH = 256


def open_digits(data: DigitsData) -> Source:
    """8x8 pixels, 0..16 brought to 0..255."""
    datasets = require("sklearn.datasets", "scikit-learn", "the `digits` data")
    bunch = datasets.load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)

    def read(ids: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
        return iter(images[ids])

    train = Samples(read_labels(bunch.target, "digits"), read, lambda each: f"digit {each}")
    names = tuple(str(name) for name in bunch.target_names)
    return Source(names, train, None, DIGITS_TEST_SHARE)


def open_torchvision(data: TorchvisionData) -> Source:
    """A data set by its name in `torchvision.datasets`. Raises UserError: no such name, or it
    cannot be built or read."""
    datasets = require("torchvision.datasets", "torchvision", "`torchvision` data")
    if data.name not in datasets.__all__:
        raise UserError(
            f"torchvision has no data set `{data.name}`", nearest(data.name, datasets.__all__)
        )
    build = getattr(datasets, data.name)
    train, test = (_torchvision_split(build, data, split) for split in ("train", "test"))
    names = getattr(train, "classes", None)
    first, second = _torchvision_samples(train, "train"), _torchvision_samples(test, "test")
    where = f"torchvision's {data.name}"
    return Source(class_names(names, first.labels, where), first, second)


def _torchvision_split(build: Callable[..., Any], data: TorchvisionData, split: str) -> Any:
    parameters = inspect.signature(build).parameters
    arguments: dict[str, Any] = {"root": data.root}
    if "train" in parameters:
        arguments["train"] = split == "train"
    elif "split" in parameters:
        arguments["split"] = split
    else:
        raise UserError(f"torchvision's {data.name} has no train and test split")
    if data.download and "download" in parameters:
        arguments["download"] = True
    told = f"{data.root}: torchvision's {data.name} ({split})"
    with reading(told, "put the files there, or set `data.download: true`"):
        return build(**arguments)


def _torchvision_samples(dataset: Any, split: str) -> Samples:
    def read(ids: NDArray[np.int64]) -> Iterator[Any]:
        for each in ids:
            with reading(f"{split} image {each}", "mend or remove it"), only_meant_formats():
                image = dataset[int(each)][0]
            yield image

    with reading(f"{split} split", "look into its files"), only_meant_formats():
        labels = _torchvision_labels(dataset)
    return Samples(
        read_labels(labels, f"{split} split"), read, lambda each: f"{split} image {each}"
    )


def _torchvision_labels(dataset: Any) -> Any:
    """The labels where torchvision's data sets are known to keep them, else one by one."""
    for name in ("targets", "labels", "_labels"):
        labels = getattr(dataset, name, None)
        if labels is not None and len(labels) == len(dataset):
            return labels
    return [dataset[each][1] for each in range(len(dataset))]


def open_huggingface(data: HuggingFaceData) -> Source:
    """One or two splits of a data set of pictures, from the Hub or from disk. Raises UserError: it
    is not there, or has no such split or column."""
    splits = huggingface_splits(data, (data.image, data.label), "Image")
    train = splits[data.train]
    names = getattr(train.features[data.label], "names", None)
    where = f"{data.name}: column `{data.label}`"

    def samples(split: str) -> Samples:
        labels = splits[split][data.label][:]
        return huggingface_samples(splits[split], data.name, data.image, labels, split, where)

    first = samples(data.train)
    test = None if data.test is None else samples(data.test)
    return Source(class_names(names, first.labels, where), first, test, data.test_share)


def huggingface_splits(data: HuggingFaceData, columns: Sequence[str | None], kind: str) -> Any:
    """The data set's splits. The first of the columns is of the type that `kind` names, `Image` or
    `Audio`. Raises UserError: one of them is not there, or of another type."""
    datasets = require("datasets", "datasets", "`huggingface` data")
    told = f"Hugging Face data set `{data.name}`"
    with reading(told, "give a hub name, or a folder that `save_to_disk` wrote"):
        if (Path(data.name) / "dataset_dict.json").is_file():
            splits = datasets.load_from_disk(data.name)
        else:
            splits = datasets.load_dataset(data.name, data.config)
    for name in filter(None, (data.train, data.test)):
        if name not in splits:
            raise UserError(f"{data.name}: has no split `{name}`", nearest(name, list(splits)))
        for column in filter(None, columns):
            if column not in splits[name].column_names:
                raise UserError(
                    f"{data.name}: has no column `{column}`",
                    nearest(column, splits[name].column_names),
                )
        if not isinstance(splits[name].features[columns[0]], getattr(datasets, kind)):
            word = {"Image": "images", "Audio": "recordings"}[kind]
            raise UserError(
                f"{data.name}: column `{columns[0]}` holds no {word}",
                f"`data.{kind.lower()}` names the column",
            )
    return splits


def huggingface_samples(
    dataset: Any, name: str, column: str, labels: Any, split: str, where: str
) -> Samples:
    """A split's samples with these labels, encoded as they are. Raises UserError: it has none, or
    cannot be read."""
    told, damaged = f"{name}, split `{split}`", "fetch or write it again"
    with reading(told, damaged):
        encoded = dataset.cast_column(column, type(dataset.features[column])(decode=False))
        size = encoded.data.nbytes
    if not len(labels):
        raise UserError(f"{told}: holds no rows", "give samples and their labels")

    def read(ids: NDArray[np.int64]) -> Iterator[bytes | str | None]:
        with reading(told, damaged):
            for batch in encoded.select(ids).select_columns([column]).iter(BATCH):
                for value in batch[column]:
                    yield value and (value["bytes"] or value["path"])

    return Samples(read_labels(labels, where), read, lambda each: f"{split} row {each}", size)
