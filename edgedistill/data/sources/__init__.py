"""Where samples come from. A new source: a config in `recipe`, a function, and a line here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from edgedistill.data.sources import (
    arrays,
    folder,
    function,
    libraries,
    manifest,
    parquet,
    sounds,
)
from edgedistill.data.sources.base import Samples, Source, for_task
from edgedistill.data.sources.files import IMAGES, SOUNDS
from edgedistill.recipe import Data
from edgedistill.tasks import TASKS

__all__ = ["OPENERS", "Samples", "Source", "open_source"]

OPENERS: dict[str, Callable[[Any], Source]] = {
    "digits": libraries.open_digits,
    "folder": folder.open_source,
    "parquet": parquet.open_source,
    "torchvision": libraries.open_torchvision,
    "huggingface": libraries.open_huggingface,
    "manifest": manifest.open_source,
    "arrays": arrays.open_source,
    "function": function.open_source,
}

OF_SOUND: dict[str, Callable[[Any], Source]] = {
    "parquet": sounds.open_parquet,
    "huggingface": sounds.open_huggingface,
}
"""Where sound lies otherwise than pictures do."""


def open_source(data: Data, task: str = "classification") -> Source:
    """Find classes, labels and samples; none is decoded yet. Raises UserError."""
    openers = OPENERS if data.sound is None else {**OPENERS, **OF_SOUND}
    source = openers[data.source](data)
    test = None if source.test is None else for_task(source.test, task)
    source = dataclasses.replace(source, train=for_task(source.train, task), test=test)
    if data.sound is not None:
        source = sounds.with_made_classes(source, data, task)
    if data.unlabelled is None:
        return source
    more, notes = folder.unlabelled(data.unlabelled, IMAGES if data.sound is None else SOUNDS)
    blank = TASKS[task].labels.unknown(len(more.labels), source.classes)
    more = dataclasses.replace(more, labels=blank)
    return dataclasses.replace(source, unlabelled=more, notes=(*source.notes, *notes))
