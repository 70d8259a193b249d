from __future__ import annotations

import pytest
import torch
from torch import nn

from edgedistill.models import build
from edgedistill.models.fused import fused
from edgedistill.recipe import ResidualModel
from edgedistill.signature import image_inputs


def living(module: nn.Module) -> nn.Module:
    """With statistics and weights as training leaves them: none of them 0 or 1."""
    torch.manual_seed(0)
    for each in module.modules():
        if isinstance(each, nn.BatchNorm2d):
            nn.init.uniform_(each.weight, 0.5, 2)
            nn.init.normal_(each.bias)
            nn.init.normal_(each.running_mean)
            nn.init.uniform_(each.running_var, 0.5, 2)
    return module.eval()


def norms(module: nn.Module) -> int:
    return sum(isinstance(each, nn.BatchNorm2d) for each in module.modules())


@pytest.mark.parametrize("shortcut", ["pad", "conv"])
def test_a_residual_network_answers_the_same_without_batch_norms(shortcut: str) -> None:
    described = ResidualModel(
        family="resnet_cifar", depth=8, shortcut=shortcut, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.3)
    )
    model = living(build(described, 10, image_inputs(3, 32, 32)))
    quick, pixels = fused(model), torch.rand(2, 3, 32, 32)
    assert norms(model) > 0
    assert norms(quick) == 0
    torch.testing.assert_close(quick(pixels), model(pixels), atol=1e-4, rtol=1e-4)


def test_a_layer_that_is_listened_to_gives_what_it_gave() -> None:
    model = living(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3),
                                 nn.BatchNorm2d(4)))  # fmt: skip
    quick = fused(model, [model[0]])
    pixels = torch.rand(2, 1, 8, 8)
    assert norms(quick) == 1
    torch.testing.assert_close(quick[0](pixels), model[0](pixels))
    torch.testing.assert_close(quick(pixels), model(pixels), atol=1e-4, rtol=1e-4)


def test_a_container_that_is_listened_to_gives_what_it_gave() -> None:
    inner = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    model = living(nn.Sequential(inner, nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2)))
    quick, pixels = fused(model, [inner]), torch.rand(2, 1, 9, 9)
    assert norms(quick) == 1
    torch.testing.assert_close(quick[0](pixels), model[0](pixels))
    torch.testing.assert_close(quick(pixels), model(pixels), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("affine", [True, False])
def test_a_norm_over_another_dimension_than_the_layer_s_stays(affine: bool) -> None:
    model = nn.Sequential(nn.Linear(5, 5), nn.BatchNorm1d(5, affine=affine)).eval()
    tokens = torch.rand(2, 5, 5)
    torch.testing.assert_close(fused(model)(tokens), model(tokens))


def test_a_model_that_cannot_be_copied_comes_back_itself() -> None:
    class Unique(nn.Module):
        def __deepcopy__(self, memory: object) -> nn.Module:
            raise RuntimeError("there is one of me")

    model = Unique()
    assert fused(model) is model


class ReadTwice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        return y + self.norm(y)


class Shared(ReadTwice):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x)) + self.conv(x)


class Decides(ReadTwice):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x)) if x.sum() > 0 else x


@pytest.mark.parametrize("kind", [ReadTwice, Shared, Decides])
def test_what_cannot_be_fused_stays_as_it_is(kind: type[ReadTwice]) -> None:
    model, pixels = living(kind()), torch.rand(2, 1, 8, 8)
    quick = fused(model)
    assert norms(quick) == 1
    torch.testing.assert_close(quick(pixels), model(pixels))
