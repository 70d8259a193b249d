"""A program as a Core ML package for iOS 17 and later.

Written as Xcode takes it: a picture goes in as an image of bytes, and class probabilities come out.
All is in float32 but the integers of an int8 program: by its own default, the converter would keep
the scales between integers in float16, which moves values by whole steps.
"""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgedistill.errors import UserError
from edgedistill.signature import TensorSpec, blank

if TYPE_CHECKING:
    from edgedistill.program import Program

Activation = Literal["softmax", "sigmoid", "none"]


def coremltools() -> Any:
    """The package. Raises UserError: it is not installed."""
    from edgedistill.runtimes.native import hushed

    try:
        with hushed():
            return importlib.import_module("coremltools")
    except ImportError as error:
        raise UserError(
            f"Core ML: the package `coremltools` is missing ({error})",
            "pip install 'edgedistill[coreml]'",
        ) from None


def write(
    program: Program,
    path: Path,
    labels: tuple[str, ...],
    activation: Activation = "softmax",
    temperature: float = 1.0,
) -> None:
    """Write `program` as the folder `path`; an older one there is replaced.

    labels: of the outputs; with `softmax` the model is a classifier, which gives `classLabel` and
    its probabilities by label. temperature: logits are divided by it.
    Raises UserError: coremltools is missing.
    """
    import torch

    from edgedistill.program import graph_of
    from edgedistill.runtimes.native import hushed
    from edgedistill.runtimes.program import fold_weights, made_once

    ct = coremltools()
    folded = made_once(program, "folded", lambda: fold_weights(program))
    inputs = program.signature.inputs
    with torch.no_grad(), hushed():
        answer = program.signature.answer
        whole = _with_activation(graph_of(folded), answer, activation, temperature)
        # Core ML's converter knows the core operators alone.
        exported = torch.export.export(whole, blank(inputs, 1)).run_decompositions({})
        classes = ct.ClassifierConfig(list(labels)) if activation == "softmax" else None
        model = ct.convert(
            exported,
            convert_to="mlprogram",
            minimum_deployment_target=ct.target.iOS17,
            compute_precision=ct.precision.FLOAT32,
            inputs=[_input(ct, each) for each in inputs],
            classifier_config=classes,
        )
        shutil.rmtree(path, ignore_errors=True)
        model.save(str(path))
    (path / "executorch_debug_handle_mapping.json").unlink(missing_ok=True)


def _with_activation(graph: Any, answer: int, activation: Activation, temperature: float) -> Any:
    import torch

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = graph  # `graph` is what an exported module calls its own

        def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
            given = self.model(*inputs)
            logits: torch.Tensor = given if isinstance(given, torch.Tensor) else given[answer]
            if activation == "softmax":
                return torch.softmax(logits / temperature, 1)
            return torch.sigmoid(logits / temperature) if activation == "sigmoid" else logits

    return Whole()


def _input(ct: Any, spec: TensorSpec) -> Any:
    """A picture as an image of bytes, which the model divides by 255; anything else as an array."""
    shape = spec.of_batch(1)
    if spec.layout != "NCHW" or spec.range != (0.0, 1.0) or shape[1] not in (1, 3):
        return ct.TensorType(spec.name, shape=shape)
    colors = ct.colorlayout.GRAYSCALE if shape[1] == 1 else ct.colorlayout.RGB
    return ct.ImageType(spec.name, shape=shape, scale=1 / 255, color_layout=colors)
