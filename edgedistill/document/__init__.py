"""YAML documents a user writes: read with every mistake found, and said in the user's words."""

from edgedistill.document.extent import check_plain
from edgedistill.document.mistakes import cut, problems, shown
from edgedistill.document.reading import mapping, override, parse_value, read_yaml, with_value

__all__ = [
    "check_plain", "cut", "mapping", "override", "parse_value", "problems", "read_yaml", "shown",
    "with_value",
]  # fmt: skip
