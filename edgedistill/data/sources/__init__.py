"""Where samples come from. A new source: a config in `recipe`, a function, and a line here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from edgedistill.data.sources import arrays, folder, function, libraries, parquet
from edgedistill.data.sources.base import Samples, Source
from edgedistill.recipe import Data

__all__ = ["OPENERS", "Samples", "Source", "open_source"]

OPENERS: dict[str, Callable[[Any], Source]] = {
    "digits": libraries.open_digits,
    "folder": folder.open_source,
    "parquet": parquet.open_source,
    "torchvision": libraries.open_torchvision,
    "huggingface": libraries.open_huggingface,
    "arrays": arrays.open_source,
    "function": function.open_source,
}


def open_source(data: Data) -> Source:
    """Find classes, labels and images; no image is decoded yet. Raises UserError."""
    source = OPENERS[data.source](data)
    if data.unlabelled is None:
        return source
    more, notes = folder.unlabelled(data.unlabelled)
    return dataclasses.replace(source, unlabelled=more, notes=(*source.notes, *notes))
