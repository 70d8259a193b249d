"""What each technique of post-training quantization is worth, one by one and all together.

Float nets, trained briefly from labels on a part of the CIFAR-10 images, are quantized with each
technique alone, with all of them as `method: ptq` keeps them, and with none; each int8 graph is
held against the float one on the test images, with a paired bootstrap's 95 % interval.

    python -m benchmarks.ptq [--limit 10000] [--epochs 12] [--samples 16 512] [--nets NAME ...]
                             [--cache DIR]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.cifar10 import TARGET, recipe
from benchmarks.common import Quiet, write
from edgedistill.artifact import Artifact
from edgedistill.cache import Cache, default_root
from edgedistill.compress.fold import fold
from edgedistill.compress.post_training import TECHNIQUES, post_training
from edgedistill.data import open_split
from edgedistill.models import load
from edgedistill.pipeline import run_until
from edgedistill.predict import logits_of, torch_predictor
from edgedistill.program import graph_of
from edgedistill.signature import image_inputs

_OWN = "{{family: function, function: 'benchmarks.ptq:make', args: {{kind: {kind}}}}}"
NETS = {
    "ResNet-8": "{family: resnet_cifar, depth: 8}",
    "MobileNet, ReLU": _OWN.format(kind="relu"),
    "MobileNet, ReLU6": _OWN.format(kind="relu6"),
    "MobileNet, hard-swish": _OWN.format(kind="hardswish"),
}


def make(classes: int, kind: str) -> Any:
    """MobileNet-like (Howard et al. 2017), for 32 x 32 pixels: five depthwise separable blocks."""
    act = {"relu": nn.ReLU, "relu6": nn.ReLU6, "hardswish": nn.Hardswish}[kind]

    def convolved(inputs: int, outputs: int, size: int, stride: int, groups: int) -> list[Any]:
        convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), act()]

    layers = convolved(3, 16, 3, 1, 1)
    widths = ((16, 32, 2), (32, 48, 1), (48, 64, 2), (64, 96, 1), (96, 128, 2))
    for inputs, outputs, stride in widths:
        layers += convolved(inputs, inputs, 3, stride, inputs)
        layers += convolved(inputs, outputs, 1, 1, 1)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, classes))


def trained(cache: Cache, student: str, limit: int, epochs: float) -> dict[str, Artifact]:
    """A net trained from labels alone."""
    document = recipe(
        "name=ptq", f"data.limit={limit}", f"student={student}", "stages.prune=null",
        "stages.quantize={method: ptq}", f"stages.distill.epochs={epochs}",
        "stages.distill.losses=[{kind: labels}]", "contract={}",
    )  # fmt: skip
    return run_until(document, TARGET, cache, Quiet(), last="distill")


def rows_of(name: str, done: dict[str, Artifact], samples: int) -> list[dict[str, Any]]:
    """A row for each set of techniques, of one net and a number of calibration images."""
    program = fold(load(done["distill"].file("model")), image_inputs(3, 32, 32))
    train, test = (open_split(done["data"].path, each) for each in ("train", "test"))
    chosen = np.sort(np.random.default_rng(0).permutation(len(train))[:samples])
    batches = [
        (torch.from_numpy(train.pixels(ids)),) for ids in np.split(chosen, range(64, samples, 64))
    ]
    wanted = logits_of(torch_predictor(graph_of(program)), test)
    rows = []
    tried = {"none": (), **{each: (each,) for each in TECHNIQUES}, "all": TECHNIQUES}
    for label, techniques in tried.items():
        began = time.perf_counter()
        quantized, became = post_training(program, TARGET.scheme, batches, techniques=techniques)
        seconds = time.perf_counter() - began
        found = logits_of(torch_predictor(graph_of(quantized)), test)
        right = [(each.argmax(1) == test.labels).astype(float) for each in (wanted, found)]
        random = np.random.default_rng(0)
        ids = random.integers(0, len(test), (1000, len(test)))
        low, high = np.percentile(100 * (right[0] - right[1])[ids].mean(1), [2.5, 97.5])
        rows.append({
            "name": f"{name}, {samples} images: {label}", "net": name, "samples": samples,
            "techniques": label, "kept": [each.name for each in became if each.kept],
            "float_accuracy": 100 * float(right[0].mean()),
            "accuracy": 100 * float(right[1].mean()),
            "drop": 100 * float((right[0] - right[1]).mean()), "drop_low": float(low),
            "drop_high": float(high), "rms_error": float(np.sqrt(((wanted - found) ** 2).mean())),
            "seconds": seconds,
        })  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=10_000)
    parser.add_argument("--epochs", type=float, default=12)
    parser.add_argument("--samples", type=int, nargs="+", default=[16, 512])
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS))
    parser.add_argument("--cache", type=Path, default=default_root())
    wanted = parser.parse_args()
    cache, rows = Cache(wanted.cache, print), []
    for name in wanted.nets:
        done = trained(cache, NETS[name], wanted.limit, wanted.epochs)
        for samples in wanted.samples:
            rows += rows_of(name, done, samples)
    write(
        "ptq", rows, seeds=[0], epochs=wanted.epochs,
        data=f"CIFAR-10, JPEG copy, {wanted.limit} images",
    )  # fmt: skip


if __name__ == "__main__":
    main()
