"""edgedistill: an edge deployment compiler."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgedistill.api import audit, benchmark, compare, compile, drift, evaluate, search, teach
    from edgedistill.bundle import Bundle
    from edgedistill.errors import UserError
    from edgedistill.recipe import Recipe
    from edgedistill.signature import Signature, TensorSpec
    from edgedistill.target import Target

# Libraries beneath report their use over the network unless this is set before they are imported.
# Processes that are started inherit it; what the user has set stays.
for _switch in ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
    os.environ.setdefault(_switch, "1")
# OpenVINO and NNCF report as soon as they are imported, and have no such switch. Both do without
# the package that does it.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

__version__ = "0.1.0"
__all__ = [
    "Bundle", "Recipe", "Signature", "Target", "TensorSpec", "UserError", "audit", "benchmark",
    "compare", "compile", "drift", "evaluate", "search", "teach",
]  # fmt: skip

_HOMES = {
    "Bundle": "bundle",
    "Recipe": "recipe",
    "Signature": "signature",
    "TensorSpec": "signature",
    "Target": "target",
    "UserError": "errors",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when first asked for: `import edgedistill` stays light."""
    if name not in __all__:
        raise AttributeError(f"module `edgedistill` has no attribute `{name}`")
    return getattr(importlib.import_module(f"edgedistill.{_HOMES.get(name, 'api')}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
