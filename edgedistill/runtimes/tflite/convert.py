"""From a program to the bytes of a .tflite file, by litert-torch. NHWC, batch 1."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from typing import TYPE_CHECKING, Any

from edgedistill.program import answers, graph_of
from edgedistill.runtimes.native import hushed
from edgedistill.signature import TensorSpec, blank

if TYPE_CHECKING:
    from torch import Tensor

    from edgedistill.program import Program


def convert(program: Program, quantized: bool) -> bytes:
    """Inputs and outputs under the signature's names, pictures among them laid out NHWC.

    quantized: the program has quantize and dequantize nodes. Raises whatever the converter does.
    """
    import torch

    from edgedistill.runtimes.program import fence_floats

    inputs, outputs = program.signature.inputs, program.signature.outputs

    class ChannelsLast(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = graph_of(program)
            if quantized:
                fence_floats(self.inner)

        def forward(self, **given: torch.Tensor) -> dict[str, torch.Tensor]:
            found = answers(
                self.inner(*(_channels_first(given[each.name], each) for each in inputs))
            )
            named = zip(outputs, found, strict=True)
            return {each.name: _channels_last(value, each) for each, value in named}

    wrapped = ChannelsLast()
    wrapped.training = False
    for weight in wrapped.parameters():
        # The converter tells constants apart by their address: of a weight in channels-last order
        # it takes a temporary copy's, and the next copy of that size stands at the same place.
        weight.data = weight.data.contiguous()
    zeros = zip(inputs, blank(inputs), strict=True)
    logging.getLogger("litert_torch").setLevel(logging.ERROR)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        hushed(),
        torch.no_grad(),
    ):
        warnings.simplefilter("ignore")
        import litert_torch

        converted = litert_torch.convert(
            wrapped,
            sample_kwargs={
                each.name: _channels_last(zero, each).contiguous() for each, zero in zeros
            },
            quant_config=_static() if quantized else None,
        )
        content: bytes = bytes(converted.model_content())
    return content


def _channels_first(value: Tensor, spec: TensorSpec) -> Tensor:
    return value.permute(0, 3, 1, 2) if spec.layout == "NCHW" else value


def _channels_last(value: Tensor, spec: TensorSpec) -> Tensor:
    return value.permute(0, 2, 3, 1) if spec.layout == "NCHW" else value


def _static() -> Any:
    """Only says that the graph is statically quantized: its own nodes carry every scale."""
    from litert_torch.quantize import pt2e_quantizer, quant_config

    static = pt2e_quantizer.get_symmetric_quantization_config(is_per_channel=True)
    return quant_config.QuantConfig(
        pt2e_quantizer=pt2e_quantizer.PT2EQuantizer().set_global(static)
    )
