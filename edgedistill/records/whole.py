"""What every record of a whole run begins with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field, JsonValue

from edgedistill.records.codec import Record


@dataclass(frozen=True)
class Machine:
    """What compiled, and measured."""

    processor: str
    isa: str
    flags: tuple[str, ...]
    """Of its instructions, those that decide which kernels run."""
    cores: int
    """That a process may use."""
    memory_gb: float
    system: str
    versions: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class WholeRecord(Record):
    """Who made it, of what, and where."""

    # One of another version may hold more.
    __pydantic_config__: ClassVar[ConfigDict] = {
        **Record.__pydantic_config__, "extra": "ignore",
    }  # fmt: skip

    # A docstring under a field is not inherited.
    edgedistill: Annotated[str, Field(description="Version that wrote it.")]
    created: Annotated[str, Field(description="ISO 8601, UTC.")]
    name: str
    recipe: dict[str, JsonValue]
    target: dict[str, JsonValue]
    machine: Machine
