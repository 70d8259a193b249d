"""Kinds of values that stand in many places of a recipe, with what each may be."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import AfterValidator, Discriminator, Field, Tag

from edgedistill.document import check_plain, cut, shown
from edgedistill.target import each_once

# --- numbers --------------------------------------------------------------------------------

Epochs = Annotated[float, Field(gt=0.0, le=1e6)]
Rate = Annotated[float, Field(gt=0.0, le=1e3)]
"""A learning rate."""
Weight = Annotated[float, Field(ge=0.0, le=1e6)]
"""Of a term in a sum."""
Temperature = Annotated[float, Field(ge=0.01, le=1000.0)]
Points = Annotated[float, Field(ge=0.0, le=1e6)]
"""Of quality: more than 100 where an error has no upper bound."""
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Means = Annotated[
    tuple[Annotated[float, Field(ge=-1e4, le=1e4)], ...], Field(min_length=1, max_length=3)
]
Deviations = Annotated[
    tuple[Annotated[float, Field(ge=1e-6, le=1e4)], ...], Field(min_length=1, max_length=3)
]

# --- pictures -------------------------------------------------------------------------------

Side = Annotated[int, Field(ge=8, le=1024)]


def _as_pair(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _one_or_two(given: Any) -> str:
    # In brackets, as pydantic writes a union's kinds: messages leave such a level out.
    return "[two]" if isinstance(given, list | tuple) else "[one]"


if TYPE_CHECKING:
    ImageSize = tuple[int, int]
else:
    ImageSize = Annotated[
        Union[Annotated[Side, Tag("[one]")], Annotated[tuple[Side, Side], Tag("[two]")]],
        Discriminator(_one_or_two),
        AfterValidator(_as_pair),
    ]
"""(height, width) in pixels; a recipe may give one number for both."""

Resize = Literal["crop", "fit", "stretch"]
"""How a picture of another shape becomes one of the wanted size."""

# --- text -----------------------------------------------------------------------------------


def _is_one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"{shown(text)} holds characters that cannot be shown")
    return text


def _names_something(text: str) -> str:
    if not text.strip():
        raise ValueError("should be a name, and is empty")
    return _is_one_line(text)


Name = Annotated[str, Field(max_length=1000), AfterValidator(_names_something)]
"""Of something that lies elsewhere: a model, a column, a split, a layer."""
ClassName = Annotated[str, Field(max_length=500), AfterValidator(_names_something)]
ClassNames = Annotated[
    tuple[ClassName, ...], Field(min_length=1, max_length=30_000), AfterValidator(each_once)
]
LayerNames = Annotated[tuple[Name, ...], Field(max_length=10_000)]
Line = Annotated[str, AfterValidator(_is_one_line)]

_REFERENCE = re.compile(r"[\w-]+(\.[\w-]+)*:\w+")


def _is_reference(text: str) -> str:
    if not _REFERENCE.fullmatch(text):
        raise ValueError(
            f"`{cut(text)}` is not of the form `module:function`, e.g. `my_models:student`"
        )
    return text


Function = Annotated[str, Field(max_length=300), AfterValidator(_is_reference)]
"""A user's own `module:function`."""

# --- files ----------------------------------------------------------------------------------


def _can_be_looked_at(path: Path) -> Path:
    text = str(path)
    if "\0" in text:
        raise ValueError(f"a path with a null character: {shown(text)}")
    try:
        length = len(text.encode())
        longest = max((len(part.encode()) for part in path.parts), default=0)
    except UnicodeEncodeError:
        raise ValueError(f"a path that is no Unicode text: {shown(text)}") from None
    if length > 4000 or longest > 255:
        raise ValueError(f"too long a path ({length} bytes): {shown(text)}")
    try:
        path.expanduser()
    except RuntimeError:
        raise ValueError(f"nobody's home folder is `{cut(path.parts[0])}`") from None
    return path


FilePath = Annotated[Path, AfterValidator(_can_be_looked_at)]
"""From the recipe's folder, where it is relative."""

# --- whatever a user's function takes -------------------------------------------------------


def _are_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    check_plain(arguments)
    if "classes" in arguments:
        raise ValueError("`classes` is passed by itself; leave it out")
    return arguments


Arguments = Annotated[dict[str, Any], Field(max_length=1000), AfterValidator(_are_arguments)]


def any_counts(losses: Sequence[Any]) -> bool:
    """Whether there is anything to learn from."""
    return any(loss.weight > 0 for loss in losses)
