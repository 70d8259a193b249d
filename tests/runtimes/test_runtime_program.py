from __future__ import annotations

import inspect
import sys

import numpy as np
import torch
from exported import SIZE, Exported, answers
from torch import Tensor, nn

from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.program import export
from edgedistill.runtimes import program
from edgedistill.signature import image_inputs
from edgedistill.target import Scheme


def test_folding_weights_changes_no_answer(exported: Exported) -> None:
    quantized, pixels = exported.program("int8"), exported.pixels(8)
    folded = program.fold_weights(quantized)
    assert (answers(folded, pixels) == answers(quantized, pixels)).all()
    integers = [
        name for name, each in folded.exported.state_dict.items() if each.dtype == torch.int8
    ]
    assert "down.0.weight_int8" in integers


def test_layers_are_told_by_their_module(exported: Exported) -> None:
    labels = [layer.label for layer in program.layers(exported.program("int8"))]
    folded = program.fold_weights(exported.program("int8"))
    assert labels == [layer.label for layer in program.layers(folded)]
    assert {"stem.0", "body.0", "down.0", "linear"} <= set(labels)


def test_recorded_integers_have_the_layers_shapes(exported: Exported) -> None:
    quantized = exported.program("int8")
    recorded = program.record(quantized, exported.pixels(2))
    for layer in program.layers(quantized):
        assert recorded[layer.name].shape == (2, *layer.shape)
        assert recorded[layer.name].dtype == np.int8


def test_whole_program_has_no_float_layer(exported: Exported) -> None:
    assert program.float_layers(exported.program("int8")) == []


def test_layers_kept_in_float_are_named() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            found: Tensor = self.two(torch.relu(self.one(x))).mean((2, 3))
            return found

    prepared = prepare(fold(Two().eval(), image_inputs(3, SIZE, SIZE)), Scheme(), ("two",))
    calibrate(prepared, [(torch.rand(4, 3, SIZE, SIZE),)])
    assert program.float_layers(convert(prepared)) == ["two"]


def test_a_deep_program_is_read_whole() -> None:
    class Deep(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            for _ in range(400):
                x = torch.sin(x)
            return x

    deep = export(Deep(), image_inputs(3, SIZE, SIZE))
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(len(inspect.stack()) + 300)
        assert len(program.float_layers(deep)) == 400
    finally:
        sys.setrecursionlimit(limit)
