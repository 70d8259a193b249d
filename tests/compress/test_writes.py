"""Models that write into a part of a tensor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.program import Program, graph_of
from edgedistill.runtime_table import STANDARD
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.signature import image_inputs
from edgedistill.target import Scheme

Write = Callable[[Tensor], Tensor]


def shifted(y: Tensor) -> Tensor:
    z = torch.zeros_like(y)
    z[:, 1:] = y[:, :-1]
    return z


def one_place(y: Tensor) -> Tensor:
    z = y.clone()
    z[:, -1] = y[:, 0] * 2
    return z


def added_to_a_view(y: Tensor) -> Tensor:
    z = y.clone()
    z[:, 2:5].add_(0.5)
    return z


def read_before_and_after(y: Tensor) -> Tensor:
    part = y[:, :2]
    whole = y * 1.0
    y.add_(1.0)
    return whole + y + part.mean(1, keepdim=True)


def a_corner(y: Tensor) -> Tensor:
    z = y * 1.0
    z[:, :, 2:-2, :3] = 0.25
    return z


def all_of_it(y: Tensor) -> Tensor:
    z = torch.ones_like(y)
    z[:] = y
    return z


class Net(nn.Module):
    def __init__(self, write: Write) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.second, self.last = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 3)
        self.write = write

    def forward(self, x: Tensor) -> Tensor:
        y = self.write(torch.relu(self.norm(self.first(x))))
        logits: Tensor = self.last(torch.relu(self.second(y)).mean((2, 3)))
        return logits


def net(write: Write) -> Net:
    torch.manual_seed(0)
    found = Net(write).eval()
    found.norm.running_mean.normal_()  # type: ignore[union-attr, operator]
    return found


WRITES = [shifted, one_place, added_to_a_view, read_before_and_after, a_corner, all_of_it]


@pytest.mark.parametrize("write", WRITES)
def test_a_write_into_a_part_becomes_a_graph_without_it(write: Write) -> None:
    model = net(write)
    program = fold(model, image_inputs(3, 8, 8))
    x = torch.rand(5, 3, 8, 8)
    torch.testing.assert_close(graph_of(program)(x), model(x))
    kinds = [str(node.target) for node in program.exported.graph.nodes]
    assert not any("scatter" in kind or "copy" in kind or "batch_norm" in kind for kind in kinds)


@pytest.fixture(scope="module")
def programs() -> dict[str, Program]:
    program = fold(net(shifted), image_inputs(3, 8, 8))
    prepared = prepare(program, Scheme())
    calibrate(prepared, [(torch.rand(16, 3, 8, 8),)])
    return {"fp32": program, "int8": convert(prepared)}


@pytest.mark.parametrize("runtime", STANDARD)
def test_it_is_written_for_every_runtime(
    programs: dict[str, Program], runtime: str, tmp_path: Path
) -> None:
    x = torch.rand(4, 3, 8, 8)
    for kind, made in programs.items():
        path = tmp_path / f"{kind}{RUNTIMES[runtime].suffix}"
        RUNTIMES[runtime].write(made, path, Spec(kind, ("a", "b", "c")))
        wanted = graph_of(made)(x).detach().numpy()
        far = np.abs(RUNTIMES[runtime].load(path)(x.numpy()) - wanted).max()
        assert far <= (1e-5 if kind == "fp32" else 0.03 * np.abs(wanted).max())
