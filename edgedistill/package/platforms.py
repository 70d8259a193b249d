"""What a package can be made for, in one table."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.errors import UserError, nearest

if TYPE_CHECKING:
    from edgedistill.package.contents import Contents

PICTURES = frozenset({"classification", "multilabel", "regression", "retrieval"})
ALL = PICTURES | {"keywords", "transcription"}


@dataclass(frozen=True)
class RuntimeSize:
    """What the runtime adds to an app."""

    bytes: int | None
    """None where it is not known here."""
    what: str
    """Of what that is, in words: `onnxruntime 1.31 and numpy 2.1, as installed on x86-64`."""


@dataclass(frozen=True)
class Platform:
    """A line of the table. The module `edgedistill.package.NAME` does the work: `write(contents,
    folder)` puts the whole package into an empty folder, its `README.md` with `{{...}}` where
    `write.py` fills in; `runtime_size(contents)` is a `RuntimeSize`."""

    name: str
    runtimes: tuple[str, ...]
    """That run there, the preferred first."""
    tasks: frozenset[str] = ALL
    takes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Types of numbers that a runtime takes and gives there; one that is not named, all of its
    files'."""
    one_program: frozenset[str] = frozenset()
    """Runtimes that give right values there for the first program of a file alone."""

    @property
    def module(self) -> Any:
        """Imported when it is first asked for."""
        return importlib.import_module(f"edgedistill.package.{self.name}")

    @property
    def write(self) -> Callable[[Contents, Path], None]:
        """Puts the package into a folder."""
        write: Callable[[Contents, Path], None] = self.module.write
        return write

    @property
    def runtime_size(self) -> Callable[[Contents], RuntimeSize]:
        """What the runtime adds."""
        size: Callable[[Contents], RuntimeSize] = self.module.runtime_size
        return size


PLATFORMS = {
    each.name: each
    for each in (
        Platform("android", ("litert", "onnxruntime")),
        Platform("ios", ("onnxruntime", "litert", "coreml")),
        Platform(
            "web", ("litert", "onnxruntime"), takes={"litert": ("float32", "int32", "uint8")},
            one_program=frozenset({"litert"}),
        ),
        Platform("c", ("litert", "onnxruntime")),
        Platform("python", ("litert", "onnxruntime")),
    )
}  # fmt: skip


def find(name: str) -> Platform:
    """Raises UserError: no such platform."""
    if name not in PLATFORMS:
        raise UserError(f"unknown platform `{name[:80]}`", nearest(name[:80], list(PLATFORMS)))
    return PLATFORMS[name]
