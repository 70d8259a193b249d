"""A bundle's name as other languages take names."""

from __future__ import annotations

import keyword
import re
import sys

_TAKEN = {"numpy", "PIL", "ai_edge_litert", "onnxruntime", "edgedistill", "test", "tests"}


def module_name(name: str) -> str:
    """Of a module in Python: lower case, no word of the language, and none that another module
    has."""
    found = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "model"
    if found[0].isdigit():
        found = f"model_{found}"
    taken = keyword.iskeyword(found) or found in sys.stdlib_module_names or found in _TAKEN
    return f"{found}_model" if taken else found
