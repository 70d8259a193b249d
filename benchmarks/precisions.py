"""What bfloat16 is worth in training, by the student: images a second in float32, in bfloat16, and
in bfloat16 with depthwise convolutions in float32, as stages train where `precision` is bf16.

A step is the forward and backward pass of 32 made-up images; the three take turns, in one order and
the other. Ratios are medians over the rounds.

    python -m benchmarks.precisions [--rounds 8]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torchvision

from benchmarks.common import mean_and_std, write
from edgedistill.distill.bfloat16 import products_in_bf16

STUDENTS = (
    ("mobilenet_v3_small", 96), ("mobilenet_v3_small", 224), ("mobilenet_v2", 96),
    ("mobilenet_v3_large", 224), ("efficientnet_b0", 96), ("convnext_tiny", 96),
    ("shufflenet_v2_x1_0", 96), ("regnet_x_400mf", 96), ("resnet18", 96),
)  # fmt: skip
"""torchvision's names, and pixels on a side."""
WAYS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "float32": nullcontext,
    "bfloat16": lambda: torch.autocast("cpu", torch.bfloat16),
    "ours": lambda: products_in_bf16("cpu"),
}
BATCH, STEPS = 32, 3


def pace(model: Any, pixels: torch.Tensor, way: str) -> float:
    """Images a second, after one step that does not count."""
    started = 0.0
    for step in range(1 + STEPS):
        if step == 1:
            started = time.perf_counter()
        with WAYS[way]():
            logits = model(pixels)
        logits.float().square().mean().backward()
    return STEPS * BATCH / (time.perf_counter() - started)


def row(name: str, side: int, rounds: int) -> dict[str, Any]:
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)().to(memory_format=torch.channels_last).train()
    pixels = torch.randn(BATCH, 3, side, side).to(memory_format=torch.channels_last)
    orders = (list(WAYS), list(WAYS)[::-1])
    found = [
        {way: pace(model, pixels, way) for way in orders[number % 2]} for number in range(rounds)
    ]
    told: dict[str, Any] = {"name": f"{name}, {side} pixels"}
    for way in WAYS:
        samples = [each[way] for each in found]
        mean, std = mean_and_std(samples)
        told |= {f"{way}_mean": mean, f"{way}_std": std, f"{way}_samples": samples}
    for other in ("float32", "bfloat16"):
        told[f"ours_to_{other}"] = statistics.median(each["ours"] / each[other] for each in found)
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    rounds = parser.parse_args().rounds
    rows = []
    for name, side in STUDENTS:
        rows.append(row(name, side, rounds))
        print(rows[-1], flush=True)
    write("precisions", rows, seeds=[0], threads=torch.get_num_threads(), batch=BATCH)


if __name__ == "__main__":
    main()
