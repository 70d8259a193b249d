"""Which layers read the pixels and which give the answer, however they are registered."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from edgedistill.models.outer import input_layers, output_layers


class OutOfOrder(nn.Module):
    """The head is registered first, an auxiliary one and the stem last."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)
        self.body = nn.Sequential(nn.ReLU(inplace=True), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1))
        self.auxiliary = nn.Linear(4, 3)
        self.places = nn.Linear(2, 4)
        self.stem = nn.Conv2d(1, 4, 3)

    def forward(self, pixels: Tensor) -> Tensor:
        places = self.places(torch.zeros(1, 2)).reshape(1, 4, 1, 1)
        seen = self.body(self.stem(pixels * 2 - 1) + places).mean((2, 3))
        logits: Tensor = self.head(seen)
        self.seen = self.auxiliary(seen)
        return logits


class TwoEnds(nn.Module):
    """Two stems; two heads whose answers are averaged, as a distilled transformer's are."""

    def __init__(self) -> None:
        super().__init__()
        self.b = nn.Linear(6, 3)
        self.a = nn.Linear(6, 3)
        self.fine, self.coarse = nn.Conv2d(1, 6, 3), nn.Conv2d(1, 6, 5)

    def forward(self, pixels: Tensor) -> Tensor:
        seen = self.fine(pixels).mean((2, 3)) + self.coarse(pixels.flip(3)).mean((2, 3))
        logits: Tensor = (self.a(seen) + self.b(seen)) / 2
        return logits


def test_layers_registered_in_any_order() -> None:
    module, example = OutOfOrder().train(), torch.zeros(1, 1, 8, 8)
    assert input_layers(module, example) == ["stem"]
    assert output_layers(module, example) == ["head"]
    assert module.training
    assert not module.stem._forward_hooks


def test_several_of_each() -> None:
    example = torch.zeros(1, 1, 8, 8)
    assert input_layers(TwoEnds(), example) == ["fine", "coarse"]
    assert output_layers(TwoEnds(), example) == ["a", "b"]


def test_what_stands_after_the_last_layer_of_weights_is_of_the_end() -> None:
    scaled = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.BatchNorm1d(5), nn.Linear(5, 3),
                           nn.BatchNorm1d(3))  # fmt: skip
    assert output_layers(scaled, torch.zeros(1, 1, 8, 8)) == ["3", "4"]


def test_a_head_of_parametrized_weights() -> None:
    head = nn.utils.parametrizations.weight_norm(nn.Linear(64, 3))
    assert output_layers(nn.Sequential(nn.Flatten(), head), torch.zeros(1, 1, 8, 8)) == ["1"]


@pytest.mark.parametrize(
    ("name", "size", "first", "last"),
    [
        ("squeezenet1_1", 64, "features.0", "classifier.1"),
        ("inception_v3", 96, "Conv2d_1a_3x3.conv", "fc"),
        ("googlenet", 64, "conv1.conv", "fc"),
        ("vit_b_32", 224, "conv_proj", "heads.head"),
        ("densenet121", 64, "features.conv0", "classifier"),
        ("swin_t", 64, "features.0.0", "head"),
    ],
)
def test_torchvision_s(name: str, size: int, first: str, last: str) -> None:
    import torchvision.models as zoo

    with torch.device("meta"):
        module = zoo.get_model(name)
        example = torch.zeros(1, 3, size, size)
        assert input_layers(module, example) == [first]
        assert output_layers(module, example) == [last]
