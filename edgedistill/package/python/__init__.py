"""A wheel that answers with a bundle's files: NumPy and one runtime, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.package.platforms import RuntimeSize

if TYPE_CHECKING:
    from edgedistill.package.contents import Contents


def write(contents: Contents, folder: Path) -> None:
    """Put the project and its wheel into `folder`."""
    contents.copy_into(folder / "data")
    (folder / "README.md").write_text("# {{name}}\n\n{{sizes}}\n\n{{golden}}\n")


def runtime_size(contents: Contents) -> RuntimeSize:
    """What NumPy and the runtime take, installed here."""
    return RuntimeSize(None, contents.app.runtime)
