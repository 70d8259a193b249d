"""What is particular to each model of sound, and to one of a user's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from sound_models import BC_RESNET, CLASSES, DS_CNN, LENGTH, TRANSFORMER, built, model_of, waves
from torch.nn import functional

from edgedistill.distill.feature_hooks import FeatureHooks
from edgedistill.errors import UserError
from edgedistill.losses.base import EMBEDDING
from edgedistill.models import build
from edgedistill.models.programs import float_parts, programs
from edgedistill.signature import sound_inputs

INPUTS = sound_inputs(LENGTH)
SECOND = sound_inputs(16_000)
OWN = """
from torch import nn
from edgedistill.families.sound import FrontEndSettings
from edgedistill.models.front_end import FrontEnd

class Words(nn.Module):
    float_parts = ("front_end",)

    def __init__(self, classes):
        super().__init__()
        self.front_end = FrontEnd(FrontEndSettings(rate=8000, bands=12))
        self.linear = nn.Linear(12, classes)

    def forward(self, samples):
        return self.linear(self.front_end(samples).mean(1))
"""


def test_the_papers_smallest_models_have_their_size() -> None:
    """BC-ResNet-1: 9.2 k parameters (Kim et al. 2021, table 2); KWT-1: 607 k (Berg et al. 2021,
    table 1); DS-CNN of 64 channels: 23.7 k weights (Zhang et al. 2017, table 5)."""
    sizes = {}
    for family, classes in (("bc_resnet", 12), ("keyword_transformer", 35), ("ds_cnn", 12)):
        module = build(model_of({"family": family}), classes, SECOND)
        sizes[family] = sum(each.numel() for each in module.parameters()) / 1e3
    assert sizes["bc_resnet"] == pytest.approx(9.2, abs=0.3)
    assert sizes["keyword_transformer"] == pytest.approx(607, rel=0.02)
    assert sizes["ds_cnn"] == pytest.approx(23.7, rel=0.1)


@pytest.mark.parametrize("values", [DS_CNN, BC_RESNET], ids=lambda each: each["family"])
def test_losses_may_look_into_blocks(values: dict[str, Any]) -> None:
    module, heard = built(values), waves(2)
    hooks = FeatureHooks().on(module, ["blocks.1", EMBEDDING], "student", (heard,))
    module(heard)
    hooks.close()
    assert hooks.seen["blocks.1"].dim() == 4
    assert hooks.seen[EMBEDDING].shape == (2, module.get_submodule("linear").in_features)


@pytest.mark.parametrize("values", [DS_CNN, BC_RESNET, TRANSFORMER], ids=lambda v: v["family"])
def test_each_learns_two_sounds(values: dict[str, Any]) -> None:
    torch.manual_seed(0)
    module = build(model_of(values), 2, INPUTS).train()
    optimizer = torch.optim.Adam(module.parameters(), 0.01)
    high = torch.arange(16) % 2
    hertz = 400.0 + 1600.0 * high[:, None]
    for seed in range(25):
        samples = torch.sin(2 * torch.pi * hertz * torch.arange(LENGTH) / 8000) * 0.1
        samples = samples + 0.1 * waves(16, LENGTH, seed)
        loss = functional.cross_entropy(module(samples), high)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert float(loss.detach()) < 0.35


def test_a_users_own_model_has_the_front_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_words.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_words", raising=False)
    module = build(model_of({"family": "function", "function": "my_words:Words"}), 3, INPUTS)
    assert float_parts(module) == ("front_end",)
    assert list(programs(module, INPUTS)) == ["main"]
    assert module.eval()(waves(2)).shape == (2, CLASSES)


def test_a_window_shorter_than_the_broadcast_net_sees_is_told() -> None:
    dilations = {"family": "bc_resnet", "dilations": [1, 2, 4, 8]}
    with pytest.raises(UserError) as error:
        build(model_of(dilations), CLASSES, SECOND)
    assert error.value.message == "model `bc_resnet` sees 1.19 s at once, and a window is 1 s"


def test_a_transformer_takes_whole_hops() -> None:
    with pytest.raises(UserError, match="hears 80 samples at a time, and a window has 2890"):
        build(model_of(TRANSFORMER), CLASSES, sound_inputs(2890))
