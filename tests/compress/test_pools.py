from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgedistill.compress.fold import fold
from edgedistill.program import Program, graph_of
from edgedistill.runtime_table import STANDARD
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.signature import image_inputs

POOLS: list[dict[str, Any]] = [
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "stride": 2, "divisor_override": 3},
    {"kernel_size": (3, 5), "stride": (2, 3), "padding": (1, 2), "count_include_pad": False},
    {"kernel_size": 3, "stride": 2, "ceil_mode": True},
]


@pytest.mark.parametrize("pool", POOLS)
def test_a_pool_spelled_out_answers_as_the_pool(pool: dict[str, Any]) -> None:
    model = nn.Sequential(nn.AvgPool2d(**pool), nn.Flatten()).eval()
    for size in (8, 9):
        folded = fold(model, image_inputs(3, size, size))
        pixels = torch.rand(2, 3, size, size)
        spelled = graph_of(folded)
        assert torch.allclose(spelled(pixels), model(pixels), atol=1e-6)


def test_a_plain_pool_is_left_alone() -> None:
    model = nn.Sequential(nn.AvgPool2d(2), nn.AvgPool2d(3, 1, 1), nn.Flatten()).eval()
    folded = graph_of(fold(model, image_inputs(3, 8, 8)))
    assert not [node for node in folded.graph.nodes if "mul" in str(node.target)]


class Pools(nn.Module):
    """All of them, so that one file shows them."""

    def __init__(self) -> None:
        super().__init__()
        self.pools = nn.ModuleList(nn.AvgPool2d(**pool) for pool in POOLS)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.cat([pool(pixels).flatten(1) for pool in self.pools], 1)


@pytest.fixture(scope="module")
def pools() -> Program:
    return fold(Pools().eval(), image_inputs(3, 8, 8))


@pytest.mark.parametrize("runtime", STANDARD)
def test_every_runtime_counts_as_torch_does(pools: Program, runtime: str, tmp_path: Path) -> None:
    pixels = torch.rand(2, 3, 8, 8)
    wanted = Pools()(pixels).numpy()
    path = tmp_path / f"pools{RUNTIMES[runtime].suffix}"
    labels = tuple(map(str, range(wanted.shape[1])))
    RUNTIMES[runtime].write(pools, path, Spec("fp32", labels, "float", "pools"))
    assert np.abs(RUNTIMES[runtime].load(path)(pixels.numpy()) - wanted).max() < 1e-5
