"""What lies where a user points: enough of it to begin a recipe with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgedistill.data.image.decode import open_image
from edgedistill.data.sources import Samples, open_source
from edgedistill.data.sources.base import is_folder
from edgedistill.data.sources.parquet import holds_files, open_parquet
from edgedistill.errors import UserError
from edgedistill.recipe import Data

LOOKED_AT = 64


Keys = dict[str, str | Path]
"""Of a recipe's `data`."""


@dataclass(frozen=True)
class Found:
    """What lies where the user pointed."""

    keys: Keys
    """The recipe's `data`, as far as it is certain; paths as Path."""
    classes: tuple[str, ...]
    images: int
    sizes: list[tuple[int, int]]
    """(width, height) of some images."""
    grey: bool

    @property
    def size(self) -> tuple[int, int] | None:
        """The images' common height and width, where they have one."""
        distinct = {(height, width) for width, height in self.sizes}
        return distinct.pop() if len(distinct) == 1 else None


def look(data: str) -> Found:
    """What kind of data `data` names. Raises UserError: nothing there that edgedistill reads."""
    from pydantic import TypeAdapter

    keys = _data_keys(data)
    source = open_source(TypeAdapter(Data).validate_python({**keys, "image_size": 32}))
    sizes, grey = _shapes(source.train)
    images = len(source.train.labels)
    return Found(keys, source.classes, images, sizes, grey)


def _data_keys(data: str) -> Keys:
    if data == "digits":
        return {"source": "digits"}
    path = path_of(data)
    if not is_folder(path):
        raise UserError(
            f"--data {data}: is one file; training and test images are needed",
            f"give the folder that holds both: --data {path.parent}",
        )
    for suffix, source in ((".parquet", "parquet"), (".npz", "arrays")):
        files = sorted(path.glob(f"*{suffix}"))
        if files:
            first, second = (_one(files, split, path) for split in ("train", "test"))
            columns = _columns(first) if source == "parquet" else {}
            return {"source": source, "train": first, "test": second, **columns}
    train = next((path / name for name in ("train", "training") if (path / name).is_dir()), None)
    if train is None:
        return {"source": "folder", "train": path}
    names = ("test", "val", "valid", "validation")
    test = next((path / name for name in names if (path / name).is_dir()), None)
    if test is None:
        return {"source": "folder", "train": train}
    return {"source": "folder", "train": train, "test": test}


def path_of(data: str) -> Path:
    """Where `--data` points. Raises UserError: nothing is there."""
    try:
        path = Path(data).expanduser()
        os.stat(path)
    except FileNotFoundError:
        raise UserError(f"--data {data}: not found", "give a folder, or `digits`") from None
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: of no user's home
        told = getattr(error, "strerror", None) or str(error)
        raise UserError(f"--data {data[:200]}: {told}", "give a folder, or `digits`") from None
    return path


def _one(files: list[Path], split: str, folder: Path) -> Path:
    found = [path for path in files if path.stem.startswith(split)]
    if len(found) != 1:
        raise UserError(
            f"--data {folder}: {len(found)} files that begin with `{split}`, one is needed "
            f"(there are {', '.join(path.name for path in files)})",
            "name them train and test, or write the recipe's `data` by hand",
        )
    return found[0]


def _columns(path: Path) -> dict[str, str]:
    """The image column (a struct or bytes) and the label column (whole numbers)."""
    import pyarrow

    columns = list(open_parquet(path).schema_arrow)
    images = [c.name for c in columns if holds_files(c.type)]
    labels = [c.name for c in columns if pyarrow.types.is_integer(c.type)]
    if not images or not labels:
        raise UserError(
            f"{path}: no column of images and one of whole-number labels among "
            f"{', '.join(f'{c.name} ({c.type})' for c in columns)}",
            "write the recipe's `data` by hand",
        )
    label = next((name for name in labels if "label" in name), labels[0])
    return {"image": images[0], "label": label}


def _shapes(samples: Samples) -> tuple[list[tuple[int, int]], bool]:
    count = min(LOOKED_AT, len(samples.labels))
    ids = np.unique(np.linspace(0, len(samples.labels) - 1, count).astype(np.int64))
    shapes = list(_opened(samples.read(ids)))
    if not shapes:
        raise UserError("no image could be read", "check the data")
    return [size for size, _ in shapes], all(grey for _, grey in shapes)


def _opened(payloads: Iterator[Any]) -> Iterator[tuple[tuple[int, int], bool]]:
    """(width, height) and whether it is grey, of those that can be opened."""
    for payload in payloads:
        if hasattr(payload, "shape"):
            yield (payload.shape[1], payload.shape[0]), payload.ndim == 2 or payload.shape[2] == 1
            continue
        try:
            with open_image(payload) as image:
                found = image.size, image.mode in ("1", "L", "I;16")
        except MemoryError:
            raise
        except Exception:  # Pillow's readers raise whatever a broken file leads them to
            continue
        yield found
