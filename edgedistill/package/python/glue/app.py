"""`app.json`, and the files that it names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMAT = 1


@dataclass(frozen=True)
class Description:
    """What the package says of its model."""

    folder: Path
    document: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Description:
        """Raises ValueError: it is of a later format."""
        document = json.loads((folder / "app.json").read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise ValueError(f"app.json of format {document['format']}; {FORMAT} is read here")
        return cls(folder, document)

    @property
    def kind(self) -> str:
        """`picture`, `sound` or `speech`."""
        return str(self.document["kind"])

    def file(self, program: str) -> dict[str, Any]:
        """The entry of a program."""
        return dict(next(e for e in self.document["files"] if e["program"] == program))

    def array(self, told: dict[str, Any]) -> NDArray[Any]:
        """A raw little-endian array, such as golden data."""
        dtype = np.dtype(told["dtype"]).newbyteorder("<")
        found = np.frombuffer((self.folder / told["file"]).read_bytes(), dtype)
        return found.reshape(told["shape"]).astype(told["dtype"])
