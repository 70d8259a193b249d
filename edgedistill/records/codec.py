"""Records as JSON files: written by one stage, read by others, checked both times."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, cast

from edgedistill.artifact import Artifact, write_json
from edgedistill.errors import UserError

if TYPE_CHECKING:
    from pydantic import ConfigDict, TypeAdapter, ValidationError

T = TypeVar("T")


class Record:
    """A frozen dataclass that a stage leaves in its folder, under a name of its own."""

    FILE: ClassVar[str]
    __pydantic_config__: ClassVar[ConfigDict] = {
        "extra": "forbid", "strict": True, "use_attribute_docstrings": True,
        "ser_json_inf_nan": "constants",
    }  # fmt: skip

    def write(self, folder: Path) -> None:
        """Write the record into a stage's folder, whole or not at all."""
        write_json(folder / self.FILE, as_json(self))

    @classmethod
    def read(cls, artifact: Artifact) -> Self:
        """The record of a sealed folder. Raises UserError: it is not of this form."""
        return read_record(cls, artifact.file(cls.FILE))


def as_json(value: Any) -> Any:
    """A dataclass as JSON values. Raises PydanticSerializationError: a field holds another type
    than it declares."""
    kind: Any = type(value)
    return _adapter(kind).dump_python(value, mode="json", warnings="error", by_alias=True)


def read_record(kind: type[T], path: Path) -> T:
    """A dataclass from its JSON file. Raises UserError that names every unknown key, missing key
    and value of another type."""
    return _parsed(kind, path.read_bytes(), str(path))


_HINT = "it was written by another version, or edited: remove its folder, then run again"


def from_json(kind: type[T], value: Any, where: str = "", hint: str = _HINT) -> T:
    """A dataclass from JSON values. Raises UserError as `read_record` does; `where` names what they
    are read from."""
    return _parsed(kind, json.dumps(value), where or kind.__name__, hint)


def _parsed(kind: type[T], text: str | bytes, where: str, hint: str = _HINT) -> T:
    from pydantic import ValidationError

    try:
        record: T = _adapter(cast(Any, kind)).validate_json(text)
        return record
    except ValidationError as error:
        raise UserError(f"{where}: {'; '.join(_lines(error))}", hint) from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


_SHOWN = 5
"""Mistakes that a message names."""


def _lines(error: ValidationError) -> list[str]:
    known = {"missing": "is missing", "unexpected_keyword_argument": "is an unknown key"}
    return [
        f"`{'.'.join(map(str, item['loc']))}` {known.get(item['type'], item['msg'])}".strip()
        for item in error.errors(include_url=False, include_input=False)[:_SHOWN]
    ]
