from __future__ import annotations

import pytest
import torch
from torch import nn

from edgedistill.distill.feature_hooks import FeatureHooks, shapes
from edgedistill.errors import UserError
from edgedistill.losses.base import EMBEDDING
from edgedistill.losses.features import ends, paired
from edgedistill.models import build
from edgedistill.recipe import ResidualModel
from edgedistill.signature import image_inputs

IMAGE = torch.zeros(1, 3, 16, 16)


def network(depth: int, **more: object) -> nn.Module:
    return build(
        ResidualModel(family="resnet_cifar", depth=depth, **more), 5, image_inputs(3, 16, 16)
    )  # type: ignore[arg-type]


def test_the_last_layer_at_each_resolution_is_found() -> None:
    assert ends(shapes(network(8), (IMAGE,))) == ["layer1", "layer2", "layer3"]


def test_layers_of_a_normalized_model_keep_their_own_names() -> None:
    model = network(8, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    assert ends(shapes(model, (IMAGE,))) == ["layer1", "layer2", "layer3"]


def test_models_are_paired_by_resolution() -> None:
    pairs = paired(shapes(network(8), (IMAGE,)), shapes(network(20), (IMAGE,)))
    assert pairs == [("layer1", "layer1"), ("layer2", "layer2"), ("layer3", "layer3")]


def test_models_without_a_common_resolution_are_paired_by_depth() -> None:
    shallow = {"a": torch.Size((1, 4, 12, 12)), "b": torch.Size((1, 4, 6, 6))}
    deep = {f"{size}": torch.Size((1, 8, size, size)) for size in (16, 8, 4, 2)}
    assert paired(shallow, deep) == [("a", "8"), ("b", "2")]


def test_a_transformers_blocks_are_found() -> None:
    tokens = torch.Size((1, 17, 32))
    found = {"patch": torch.Size((1, 32, 4, 4)), "blocks.0.attn": tokens, "blocks.0": tokens,
             "blocks.1": tokens, "norm": tokens}  # fmt: skip
    assert ends(found) == ["blocks.0", "blocks.1"]


def test_outputs_and_the_embedding_are_seen_until_closed() -> None:
    model = network(8).eval()
    feature_hooks = FeatureHooks().on(model, ["layer2", EMBEDDING], "student", (IMAGE,))
    model(torch.zeros(2, 3, 16, 16))
    assert feature_hooks.seen["layer2"].shape == (2, 32, 8, 8)
    assert feature_hooks.seen[EMBEDDING].shape == (2, 64)
    feature_hooks.close()
    feature_hooks.seen.clear()
    model(IMAGE)
    assert not feature_hooks.seen


def test_a_layer_that_does_not_exist_is_named_with_the_nearest() -> None:
    with pytest.raises(UserError, match="the teacher has no layer `layer7`") as caught:
        FeatureHooks().on(network(8), ["layer7"], "teacher", (IMAGE,))
    assert "did you mean `layer" in caught.value.hint


def test_a_model_without_a_linear_layer_has_no_embedding() -> None:
    with pytest.raises(UserError, match="no linear layer whose input could be its embedding"):
        FeatureHooks().on(nn.Flatten(), [EMBEDDING], "student", (IMAGE,))


class Shuffled(nn.Module):
    """Registers the layer that gives the answer first, and another linear one last."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(7, 4)
        self.body = nn.Linear(3, 7)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.body(pixels.mean((2, 3))))
        return logits


POOLED = nn.Sequential(
    nn.Conv2d(3, 9, 3), nn.Conv2d(9, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
)


@pytest.mark.parametrize(("model", "width"), [(Shuffled(), 7), (POOLED, 9)])
def test_the_embedding_enters_what_gives_the_answer(model: nn.Module, width: int) -> None:
    feature_hooks = FeatureHooks().on(model.eval(), [EMBEDDING], "student", (IMAGE,))
    model(torch.zeros(2, 3, 16, 16))
    assert feature_hooks.seen[EMBEDDING].shape == (2, width)
