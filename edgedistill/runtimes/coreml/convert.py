"""What every Core ML package is converted with: iOS 17 and later, the core operators alone.

But for the integers of an int8 program all of it is float32, or float16 where that is asked for: by
its own default, the converter would keep the scales between integers in float16, which moves values
by whole steps.
"""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.errors import UserError
from edgedistill.runtimes.native import hushed

if TYPE_CHECKING:
    from edgedistill.signature import Inputs


def coremltools() -> Any:
    """The package. Raises UserError: it is not installed."""
    try:
        with hushed():
            return importlib.import_module("coremltools")
    except ImportError as error:
        raise UserError(
            f"Core ML: the package `coremltools` is missing ({error})",
            "pip install 'edgedistill[coreml]'",
        ) from None


def converted(module: Any, fed: Inputs, half: bool = False, **asked: Any) -> Any:
    """A torch module, called with `fed` in batches of one, as coremltools' model.

    half: in float16. asked: what else `coremltools.convert` is to know.
    """
    import torch

    from edgedistill.signature import blank

    ct = coremltools()
    with torch.no_grad(), hushed():
        # Core ML's converter knows the core operators alone.
        exported = torch.export.export(module, blank(fed, 1)).run_decompositions({})
        return ct.convert(
            exported,
            convert_to="mlprogram",
            minimum_deployment_target=ct.target.iOS17,
            compute_precision=ct.precision.FLOAT16 if half else ct.precision.FLOAT32,
            skip_model_load=True,
            **asked,
        )


def save(model: Any, path: Path) -> None:
    """Write coremltools' model as the folder `path`; an older one there is replaced."""
    shutil.rmtree(path, ignore_errors=True)
    with hushed():
        model.save(str(path))
    (path / "executorch_debug_handle_mapping.json").unlink(missing_ok=True)
