"""A pruning that multiplies less and costs more, found by the device's prices and refused.

A student of depthwise separable convolutions, 64 channels wide, which is so many whole tiles of the
kernels on a Cortex-A76; cut to a little fewer multiply-accumulates, channel by channel. Once as it
is, and once with `stages.prune.if_costlier: undo`, which looks at the price list of the emulated
core. Beside what the prices tell, both int8 files are counted there.

    python -m benchmarks.costlier [--cache DIR]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks.cifar10 import EXAMPLE, TARGET, recipe
from benchmarks.common import Quiet, write
from benchmarks.sides import count, int8_file
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache, default_root
from edgedistill.pipeline import run_until

WIDTH, BLOCKS = 64, 3
KEPT = 0.95
"""Of the multiply-accumulates, after the cut."""
DEVICE = TARGET.model_copy(update={"runtimes": ("litert",), "device": "emulator:cortex-a76"})


def separable(classes: int) -> Any:
    """A convolution with stride, then depthwise and pointwise ones."""
    from torch import nn

    def normed(convolution: Any) -> list[Any]:
        return [convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU()]

    layers = normed(nn.Conv2d(3, WIDTH, 3, stride=2, padding=1, bias=False))
    for _ in range(BLOCKS):
        layers += normed(nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH, bias=False))
        layers += normed(nn.Conv2d(WIDTH, WIDTH, 1, bias=False))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTH, classes))


def made(cache: Cache, prune: str) -> dict[str, Artifact]:
    """The student, pruned as `prune` says and quantized, from 2,000 images: how well it does is not
    asked."""
    wanted = recipe(
        "data.limit=2000", "contract={}", "stages.teach.views=2", "stages.distill.epochs=2",
        "student={family: function, function: 'benchmarks.costlier:separable'}",
        f"stages.prune={prune}", "stages.quantize={method: ptq}",
        "stages.export.precisions=[int8]", path=EXAMPLE,
    )  # fmt: skip
    return run_until(wanted, DEVICE, cache, Quiet(), last="export")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=default_root())
    asked = parser.parse_args()
    cache = Cache(asked.cache, print)
    whole = made(cache, "null")
    macs = float(whole["distill"].metrics["macs"])  # type: ignore[arg-type]
    cut = f"macs: {KEPT * macs}, rounds: 1, round_to: 1, epochs: 1, max_drop: 100"
    looked = made(cache, f"{{{cut}, if_costlier: undo}}")
    sides = {
        "as built": (whole, "distill"),
        "cut to fewer multiply-accumulates": (made(cache, f"{{{cut}}}"), "prune"),
        "the same, if_costlier: undo": (looked, "prune"),
    }
    told = looked["prune"].metrics
    rows = [
        {
            "name": name,
            "macs": artifacts[stage].metrics["macs"],
            "million_instructions": count(int8_file(artifacts), asked.cache) / 1e6,
        }
        for name, (artifacts, stage) in sides.items()
    ]
    write(
        "costlier", rows, seeds=[0], device=DEVICE.device, undone=told["undone"],
        undone_because=told["undone_because"], prices=told["costs"],
    )  # fmt: skip
    print(*rows, told["undone_because"], sep="\n")


if __name__ == "__main__":
    main()
