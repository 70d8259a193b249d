from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from edgedistill.models.steps import Step, works
from edgedistill.models.work import Product, products


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 1)
        self.linear = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.norm(self.first(x)))
        x = functional.relu(self.second(x) + x)
        x = functional.max_pool2d(x, 2)
        logits: torch.Tensor = self.linear(x.mean((2, 3)))
        return logits


def test_works_lists_what_exporters_do_not_fold() -> None:
    net, example = Net().eval(), torch.zeros(1, 3, 6, 6)
    found = works(net, example)
    assert [each for each in found if isinstance(each, Product)] == products(net, example)
    steps = [each for each in found if isinstance(each, Step)]
    assert [(each.kind, each.channels, each.positions, each.kernel) for each in steps] == [
        ("add", 8, 36, 1),
        ("relu", 8, 36, 1),
        ("max_pool", 8, 9, 4),
        ("mean", 8, 9, 1),
    ]
    assert steps[0].elements == 8 * 36
    assert [each.weight for each in steps] == ["second.weight"] * 4


def test_an_unknown_operator_stands_for_an_addition() -> None:
    (step,) = works(nn.Softplus(), torch.zeros(1, 12))
    assert step == Step("add", 12, 1, operator="softplus")


class Moving(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 3))
        middle = functional.pad(x, (1, 1, 1, 1))[:, :, 1:-1, 1:-1]
        both = torch.cat([middle[:, :2], x], 1)
        return functional.max_pool2d(both, 2).sum() * shortcut


def test_works_lists_what_moves_memory() -> None:
    found = works(Moving(), torch.zeros(1, 4, 6, 6))
    moving = [(each.kind, each.channels, each.positions) for each in found
              if isinstance(each, Step) and not each.operator]  # fmt: skip
    assert moving == [
        ("strided_slice", 4, 9),
        ("pad", 8, 9),
        ("slice", 2, 36),
        ("concatenation", 6, 36),
        ("max_pool", 6, 9),
        ("mul", 8, 9),
    ]
