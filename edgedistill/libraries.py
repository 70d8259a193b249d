"""Which installed libraries a model, a teacher or a data source is made with, by the recipe."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from typing import Any

from pydantic import BaseModel

from edgedistill.usercode import distributions


def libraries(config: Any) -> frozenset[str]:
    """The distributions that what `config` names is made with, wherever in it that stands; of a
    user's own function those that its files import.

    Raises UserError: a function's file is not there.
    """
    return frozenset(_libraries(config))


def _libraries(value: Any) -> Iterator[str]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _libraries(item)
    if not isinstance(value, BaseModel):
        return
    yield from getattr(value, "made_with", ())
    function = getattr(value, "function", None)
    if isinstance(function, str):
        yield from distributions(function, "function")
    for name in type(value).model_fields:
        yield from _libraries(getattr(value, name))


def version(name: str) -> str | None:
    """Of an installed distribution; None where it is missing, which opening the model tells."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
