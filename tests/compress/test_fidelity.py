from __future__ import annotations

import pytest
import torch
from networks import SIZE, Mobile, Residual, batches, normalized, pixels
from torch import nn
from torch.nn import functional

from edgedistill.compress import quantize
from edgedistill.compress.fake_quantize import ActivationFakeQuantize
from edgedistill.compress.fidelity import advice, sqnr_db, unrounded
from edgedistill.compress.fold import fold
from edgedistill.program import Program, graph_of
from edgedistill.signature import image_inputs
from edgedistill.target import Scheme


class Padded(Residual):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(functional.pad(torch.relu(x), (1, 1, 1, 1), value=-3.0))


def quantized(model: nn.Module) -> Program:
    prepared = quantize.prepare(fold(model, image_inputs(3, SIZE, SIZE)), Scheme())
    quantize.calibrate(prepared, batches(32, 16))
    return quantize.convert(prepared)


def told(program: Program) -> str | None:
    answers, losses = unrounded(program, pixels(32, seed=2))
    with torch.no_grad():
        found = graph_of(program)(pixels(32, seed=2))
    return advice(sqnr_db(answers, found), losses)


@pytest.mark.parametrize("make", [Residual, Mobile, Padded])
def test_nothing_is_told_of_a_right_graph(make: type[nn.Module]) -> None:
    assert told(quantized(normalized(make()))) is None


def test_a_padding_outside_of_the_range_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantize, "_only_moves", lambda node, *_: "pad" in str(node.target))
    text = told(quantized(normalized(Padded())))
    assert text is not None
    assert "the first layer that loses them is `pad`: values outside of its range" in text
    assert "try `stages.quantize.keep_float: [" in text


@pytest.mark.parametrize(("factor", "cause"), [(0.02, "are clipped"), (200.0, "is too wide")])
def test_a_scale_of_another_size_is_named(factor: float, cause: str) -> None:
    prepared = quantize.prepare(fold(normalized(Residual()), image_inputs(3, SIZE, SIZE)), Scheme())
    quantize.calibrate(prepared, batches(32, 16))
    modules = dict(prepared.graph.named_modules())
    wrong = modules["round_adaptive_avg_pool2d"]
    assert isinstance(wrong, ActivationFakeQuantize)
    wrong.scale.mul_(factor)
    text = told(quantize.convert(prepared))
    assert text is not None and "`adaptive_avg_pool2d`" in text and cause in text
    assert text.endswith("try `stages.quantize.keep_float: [linear]`")
