"""Data sets that another library brings: scikit-learn's digits, torchvision, Hugging Face."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
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
    """Two splits of a data set from the Hub or from disk. Raises UserError: it is not there, or has
    no such split or column."""
    datasets = require("datasets", "datasets", "`huggingface` data")
    splits = _huggingface_splits(datasets, data)
    for name in (data.train, data.test):
        if name not in splits:
            raise UserError(f"{data.name}: has no split `{name}`", nearest(name, list(splits)))
    train, test = splits[data.train], splits[data.test]
    for column in (data.image, data.label):
        if column not in train.column_names:
            raise UserError(
                f"{data.name}: has no column `{column}`", nearest(column, train.column_names)
            )
    names = getattr(train.features[data.label], "names", None)
    first = _huggingface_samples(datasets, train, data, data.train)
    second = _huggingface_samples(datasets, test, data, data.test)
    where = f"{data.name}: column `{data.label}`"
    return Source(class_names(names, first.labels, where), first, second)


def _huggingface_splits(datasets: Any, data: HuggingFaceData) -> Any:
    told = f"Hugging Face data set `{data.name}`"
    with reading(told, "give a hub name, or a folder that `save_to_disk` wrote"):
        if (Path(data.name) / "dataset_dict.json").is_file():
            return datasets.load_from_disk(data.name)
        return datasets.load_dataset(data.name, data.config)


def _huggingface_samples(datasets: Any, dataset: Any, data: HuggingFaceData, split: str) -> Samples:
    if not isinstance(dataset.features[data.image], datasets.Image):
        raise UserError(
            f"{data.name}: column `{data.image}` holds no images", "`data.image` names the column"
        )
    told, damaged = f"{data.name}, split `{split}`", "fetch or write it again"
    with reading(told, damaged):
        encoded = dataset.cast_column(data.image, datasets.Image(decode=False))
        size = encoded.data.nbytes
        labels = dataset[data.label][:]
    if not len(labels):
        raise UserError(f"{told}: holds no rows", "give images and their labels")

    def read(ids: NDArray[np.int64]) -> Iterator[bytes | str | None]:
        with reading(told, damaged):
            for batch in encoded.select(ids).select_columns([data.image]).iter(BATCH):
                for value in batch[data.image]:
                    yield value and (value["bytes"] or value["path"])

    where = f"{data.name}: column `{data.label}`"
    return Samples(read_labels(labels, where), read, lambda each: f"{split} row {each}", size)
