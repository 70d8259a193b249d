"""What whole models cost by the prices of their operators, beside what the device counts or times.

Held out: random students, as built and as pruned (inner widths of any count), none of whose sizes
decided what is asked: operators are asked as `edgedistill.costs` asks for any model.

    python -m benchmarks.cost_model emulator:cortex-a76      # instructions of int8 files
    python -m benchmarks.cost_model local                    # time, beside that of repeated runs
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.common import write
from edgedistill.cache import default_root
from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.costs import open_prices
from edgedistill.devices import Device, Job, Protocol, open_device, percentile
from edgedistill.models.steps import works
from edgedistill.models.work import Product
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.scratch import scratch_folder
from edgedistill.signature import image_inputs
from edgedistill.target import load_target

STUDENTS = 20
COUNTED, TIMED = (32,), (96, 128, 160)
"""Heights and widths of the pictures. On a quick processor small ones are done too soon."""
LEAST_MS = 0.5
"""A shorter inference is not judged by its time."""
REPEATS = 3
"""Processes that a whole model is timed in, so that their spread is known."""


def student(seed: int) -> tuple[str, Any]:
    """A net of random depth and widths, and what it is."""
    import torch

    draw = random.Random(seed)
    torch.manual_seed(seed)
    if seed % 4 == 3:
        return separable(draw)
    from edgedistill.models.resnet_cifar import ResidualNetwork

    depth = draw.choice((8, 14, 20))
    widths = tuple(sorted(draw.sample(range(8, 81), 3)))
    each = (depth - 2) // 6
    net = ResidualNetwork((each, each, each), (widths[0], widths[1], widths[2]), "conv", 10, 3)
    if seed % 2:  # as pruning leaves it
        for name, block in net.named_modules():
            if name.count(".") == 1 and hasattr(block, "conv2"):
                whole = block.conv1.out_channels
                inner = draw.randint(max(1, whole // 3), whole)
                given, conv2 = block.conv1.in_channels, block.conv2
                block.conv1 = torch.nn.Conv2d(given, inner, 3, block.conv1.stride, 1, bias=False)
                block.bn1 = torch.nn.BatchNorm2d(inner)
                block.conv2 = torch.nn.Conv2d(inner, conv2.out_channels, 3, 1, 1, bias=False)
    kind = "pruned ResNet" if seed % 2 else "ResNet"
    return f"{kind}-{depth}, {'/'.join(map(str, widths))}", net


def separable(draw: random.Random) -> tuple[str, Any]:
    """Depthwise and pointwise convolutions, as of keyword spotting, on pictures."""
    from torch import nn

    def normed(given: int, made_of: int, kernel: int, **options: Any) -> list[Any]:
        made = nn.Conv2d(given, made_of, kernel, bias=False, **options)
        return [made, nn.BatchNorm2d(made.out_channels), nn.ReLU()]

    width = draw.randint(16, 96)
    layers = normed(3, width, 3, stride=2, padding=1)
    for place in range(draw.randint(2, 5)):
        following = draw.randint(16, 128)
        layers += normed(width, width, 3, stride=2 if place == 1 else 1, padding=1, groups=width)
        layers += normed(width, following, 1)
        width = following
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)]
    return f"separable, {len(layers) // 6} blocks", nn.Sequential(*layers)


def exported(net: Any, size: int, path: Path) -> None:
    """An int8 file, as a compile for Android writes it; its ranges are of noise."""
    import torch

    prepared = prepare(fold(net, image_inputs(3, size, size)), load_target("android-arm64").scheme)
    calibrate(prepared, [(torch.rand(4, 3, size, size),)])
    RUNTIMES["litert"].write(convert(prepared), path, Spec("int8", tuple("0123456789"), "integer"))


def told(device: Device, path: Path, threads: int) -> list[float]:
    """What the device says of a file: instructions, once; or microseconds, several times."""
    import numpy as np

    inputs = path.with_suffix(".npz")
    (taken,) = RUNTIMES["litert"].load(path).signature.inputs
    batch, *sizes, channels = taken.of_batch(1)  # as LiteRT has them
    pixels = np.random.default_rng(0).random((batch, channels, *sizes), dtype=np.float32)
    np.savez(inputs, **{taken.name: pixels})
    protocol = Protocol(runs=500, seconds=2.0, threads=threads)
    job = Job(path, "litert", inputs, protocol, profile=False)
    with device:
        if device.how == "emulated":
            return [device.run(job).instructions["all"]]
        return [1000 * percentile(device.run(job).samples_ms, 50) for _ in range(REPEATS)]


def main() -> None:
    import torch

    name = sys.argv[1] if len(sys.argv) > 1 else "emulator:cortex-a76"
    students = int(sys.argv[2]) if len(sys.argv) > 2 else STUDENTS
    rows: list[dict[str, Any]] = []
    target = load_target("android-arm64" if name.startswith("emulator") else "linux-x64")
    device = open_device(name)
    sizes = COUNTED if device.how == "emulated" else TIMED
    with scratch_folder() as folder:
        prices = open_prices(device, target, "int8", default_root(), print)
        for seed in range(students):
            title, net = student(seed)
            size = random.Random(f"{seed}, pixels").choice(sizes)
            work = works(net.eval(), torch.zeros(1, 3, size, size))
            begin, asked = time.monotonic(), prices.asked
            predicted = prices.predict(work)
            seconds, path = time.monotonic() - begin, folder / f"{seed}.tflite"
            exported(net, size, path)
            found = told(device, path, target.threads)
            actual = statistics.median(found)
            rows.append(
                {
                    "name": f"{title}, {size} pixels",
                    "macs": sum(each.macs for each in work if isinstance(each, Product)),
                    "predicted": predicted,
                    "found": actual,
                    "apart": predicted / actual - 1,
                    "spread": (max(found) - min(found)) / actual,
                    "asked": prices.asked - asked,
                    "asking_s": seconds,
                    "threads": target.threads,
                    "judged": device.how == "emulated" or actual >= 1000 * LEAST_MS,
                }
            )
            print(rows[-1], flush=True)
        apart = [abs(row["apart"]) for row in rows if row["judged"]]
        summary = {
            "judged": len(apart),
            "median_apart": statistics.median(apart) if apart else None,
            "most_apart": max(apart, default=None),
            "within_2_percent": sum(each <= 0.02 for each in apart),
            "within_5_percent": sum(each <= 0.05 for each in apart),
            "within_10_percent": sum(each <= 0.10 for each in apart),
            "asked": prices.asked,
        }
    print(summary)
    if students == STUDENTS:
        write(f"cost_model_{device.how}", rows, seeds=list(range(students)), device=prices.where,
              unit=prices.unit, summary=summary)  # fmt: skip


if __name__ == "__main__":
    main()
