"""Multiply-accumulates as the report, contracts and pruning count them, beside two other counters.

Those are torch's `FlopCounterMode`, which counts what a run dispatches (with attention's plain
kernel, as it counts nothing of the fused one), and fvcore, which follows torch.jit.trace. fvcore
does not know fused attention and recurrent layers: where it names such an operator as not counted,
its number stands there without judgement.

    python -m benchmarks.macs
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.common import write
from edgedistill.compress.cost import MACS, measure
from edgedistill.models import count
from edgedistill.models.work import listed, products
from edgedistill.signature import image_inputs

TOLERANCE = 1e-3
BLIND = ("attention", "gru", "lstm", "einsum")
"""Parts of the names of operators with products that fvcore leaves out."""


class Shared(nn.Module):
    """A block that is called three times."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1)
        self.block = nn.Conv2d(16, 16, 3, padding=1)
        self.last = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(self.block(self.block(self.stem(x))))
        found: Tensor = self.last(x.mean((2, 3)))
        return found


class Recurrent(nn.Module):
    """A convolution whose columns a GRU reads, in both directions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2, 1)
        self.layer = nn.GRU(32, 24, 2, batch_first=True, bidirectional=True)
        self.last = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        x, _ = self.layer(self.stem(x).mean(2).transpose(1, 2))
        found: Tensor = self.last(x[:, -1])
        return found


def transposed() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, 2, 1), nn.ReLU(), nn.Conv2d(24, 24, 3, 2, 1, groups=4), nn.ReLU(),
        nn.ConvTranspose2d(24, 16, 2, 2), nn.ReLU(), nn.ConvTranspose2d(16, 10, 4, 2, 1, groups=2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


def named(name: str) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        import torchvision

        module: nn.Module = torchvision.models.get_model(name, weights=None)
        return module

    return make


NETS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    **{
        name: (named(name), 224)
        for name in (
            "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5", "regnet_y_400mf",
            "densenet121", "convnext_tiny", "vit_b_16", "efficientnet_b0", "resnet18",
            "resnext50_32x4d",
        )
    },
    "transposed convolutions": (transposed, 64),
    "a GRU in both directions": (Recurrent, 64),
    "one block three times": (Shared, 32),
}  # fmt: skip


def torchs(module: nn.Module, example: Tensor) -> float:
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad(), FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        module(example)
    torch.backends.mha.set_fastpath_enabled(True)
    return float(counter.get_total_flops()) / 2e6


def fvcores(module: nn.Module, example: Tensor) -> tuple[float, list[str]]:
    """Millions, of operators with multiplications alone (it counts norms and pools too, which are
    left out here), and the operators with products that it leaves out."""
    from fvcore.nn import FlopCountAnalysis  # type: ignore[import-untyped]

    with torch.no_grad():
        found = FlopCountAnalysis(module, example)
        found.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        found.tracer_warnings("none")
        by_operator, left = found.by_operator(), found.unsupported_ops()
    kinds = ("conv", "linear", "matmul", "addmm", "bmm", "einsum", "mm")
    total = sum(by_operator[kind] for kind in kinds)
    blind = sorted(name for name in left if any(part in name for part in BLIND))
    return total / 1e6, blind


def row(name: str) -> dict[str, Any]:
    make, size = NETS[name]
    torch.manual_seed(0)
    module, example = make().eval(), torch.zeros(1, 3, size, size)
    report, _ = count(module, image_inputs(3, size, size))
    pruning = measure(module, example, [MACS])[MACS] / 1e6
    # What stages keep of a model, which the report and its contract are made of.
    stored = sum(math.prod(sizes) for sizes in listed(products(module, example))) / 1e6
    theirs, (fvcore, blind) = torchs(module, example), fvcores(module, example)
    return {
        "name": name,
        "size": size,
        "macs": report,
        "pruning": pruning,
        "listed": stored,
        "torch": theirs,
        "fvcore": fvcore,
        "fvcore_leaves_out": blind,
        "one_counter": report == pruning == stored,
        "within": abs(report / theirs - 1) <= TOLERANCE
        and (bool(blind) or abs(report / fvcore - 1) <= TOLERANCE),
    }


def main() -> None:
    warnings.simplefilter("ignore")
    rows = []
    for name in NETS:
        rows.append(row(name))
        print(rows[-1], flush=True)
    apart = [each["name"] for each in rows if not (each["within"] and each["one_counter"])]
    write("macs", rows, seeds=[0], tolerance=TOLERANCE, apart=apart)
    print(f"apart: {apart or 'none'}")


if __name__ == "__main__":
    main()
