"""Files as the converters write them, by themselves."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgedistill.runtimes.native import hushed


def plain_tflite(module: Any, size: int, path: Path, precision: str) -> None:
    """As litert-torch writes it."""
    import litert_torch
    import torch

    from edgedistill.runtimes.tflite.convert import _static

    settings = _static() if precision == "int8" else None
    with quiet():
        sample = (torch.zeros(1, 3, size, size),)
        litert_torch.convert(module, sample, quant_config=settings).export(str(path))


def plain_onnx(module: Any, size: int, path: Path, precision: str) -> None:
    """As torch.onnx writes it."""
    import torch

    batch = torch.export.Dim("batch", min=1)
    with quiet():
        torch.onnx.export(
            module, (torch.zeros(2, 3, size, size),), str(path), dynamo=True, verbose=False,
            input_names=["pixels"], output_names=["logits"], dynamic_shapes=({0: batch},),
            external_data=False,
        )  # fmt: skip


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), hushed():
        warnings.simplefilter("ignore")
        yield
