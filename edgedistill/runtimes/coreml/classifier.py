"""A program as a Core ML package that takes and gives what Xcode's own classes do: a picture goes
in as an image of bytes, and class probabilities come out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgedistill.runtimes.coreml.convert import converted, coremltools, save

if TYPE_CHECKING:
    from edgedistill.program import Program
    from edgedistill.signature import TensorSpec

Activation = Literal["softmax", "sigmoid", "none"]


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
    from edgedistill.program import graph_of
    from edgedistill.runtimes.program import fold_weights, made_once

    ct = coremltools()
    folded = made_once(program, "folded", lambda: fold_weights(program))
    inputs, answer = program.signature.inputs, program.signature.answer
    whole = _with_activation(graph_of(folded), answer, activation, temperature)
    classes = ct.ClassifierConfig(list(labels)) if activation == "softmax" else None
    taken = [_input(ct, each) for each in inputs]
    save(converted(whole, inputs, inputs=taken, classifier_config=classes), path)


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
