"""The Python API: what the command line does, as functions."""

from edgedistill.api.bundles import audit, benchmark, compare, drift, evaluate
from edgedistill.api.compiling import compile, teach
from edgedistill.api.recipes import default_recipe, read_recipe
from edgedistill.api.searching import Searched, search
from edgedistill.package import package

__all__ = [
    "Searched", "audit", "benchmark", "compare", "compile", "default_recipe", "drift", "evaluate",
    "package", "read_recipe", "search", "teach",
]  # fmt: skip
