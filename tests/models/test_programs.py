"""A model's programs, and which of several outputs is judged."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgedistill.errors import UserError
from edgedistill.models.normalized import Normalized
from edgedistill.models.programs import judged, programs
from edgedistill.predict import torch_predictor
from edgedistill.program import export, graph_of
from edgedistill.signature import Signature, TensorSpec, image_inputs

INPUTS = image_inputs(3, 4, 4)
MAP, LOGITS = TensorSpec("map", (None, 3, 4, 4), "NCHW"), TensorSpec("logits", (None, 3), "NC")


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        found = self.layer(pixels)
        return found, found.mean((2, 3))


class Named(Two):
    def programs(self) -> dict[str, Any]:
        return {"main": (self.forward, Signature(INPUTS, (MAP, LOGITS)))}


class Stepping(Named):
    def programs(self) -> dict[str, Any]:
        return {**super().programs(), "step": (self.forward, Signature(INPUTS, (MAP, LOGITS)))}


def test_the_output_named_logits_is_judged_wherever_it_stands() -> None:
    pixels = torch.rand(2, 3, 4, 4)
    model = Named().eval()
    normal = Normalized(model, [0.5] * 3, [0.5] * 3)
    for module in (model, graph_of(export(model, programs(model, INPUTS)["main"][1]))):
        assert torch.equal(judged(module, module(pixels)), model(pixels)[1])
        found = torch_predictor(module)(pixels.numpy())
        np.testing.assert_allclose(found, model(pixels)[1].detach().numpy(), atol=1e-6)
    assert judged(normal, normal(pixels)).shape == (2, 3)
    assert programs(normal, INPUTS)["main"] == (normal, Signature(INPUTS, (MAP, LOGITS)))


def test_outputs_that_nothing_names_are_told() -> None:
    model = Two().eval()
    with pytest.raises(UserError) as error:
        judged(model, model(torch.rand(1, 3, 4, 4)))
    assert error.value.message == "the model gives 2 outputs, and nothing says which one is judged"
    assert "programs()" in error.value.hint


def test_a_step_of_what_the_recipe_normalizes_is_refused() -> None:
    model = Normalized(Stepping(), [0.5] * 3, [0.5] * 3)
    with pytest.raises(UserError, match="has the programs main, step, and the recipe normalizes"):
        programs(model, INPUTS)
