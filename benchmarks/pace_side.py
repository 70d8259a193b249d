"""One side of `pace.py`: whichever edgedistill lies on PYTHONPATH, timed; prints a line of JSON.

PYTHONPATH=TREE python benchmarks/pace_side.py prune resnext50_32x4d 64 0.6 8
PYTHONPATH=TREE python benchmarks/pace_side.py train 20
PYTHONPATH=TREE python benchmarks/pace_side.py near 500000 500000
PYTHONPATH=TREE python benchmarks/pace_side.py stages 2560 2
"""

from __future__ import annotations

import hashlib
import json
import resource
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

SEED = 0
PLANTED = 50
"""Near duplicates among the fingerprints."""
BATCH, SIZE = 64, 32


def prune(name: str, size: str, share: str, round_to: str) -> dict[str, Any]:
    """A torchvision network with random weights, to `share` of its multiply-accumulates."""
    import torch
    import torchvision

    from edgedistill.compress.cost import MACS, PARAMS, measure
    from edgedistill.compress.prune import importance
    from edgedistill.compress.prune import prune as cut

    torch.manual_seed(SEED)
    pixels = int(size)
    options = {"image_size": pixels} if name.startswith("vit") else {}
    model = getattr(torchvision.models, name)(weights=None, num_classes=10, **options).eval()
    example = torch.zeros(1, 3, pixels, pixels)
    goal = {MACS: measure(model, example, [MACS])[MACS] * float(share)}
    score = importance("magnitude", model, [])
    started = time.perf_counter()
    steps = cut(model, example, goal, score, int(round_to))
    seconds = time.perf_counter() - started
    cost = measure(model, example, (MACS, PARAMS))
    return {"seconds": seconds, "steps": len(steps), "macs": cost[MACS], "params": cost[PARAMS],
            "digest": _digest(steps)}  # fmt: skip


def train(steps: str) -> dict[str, Any]:
    """Steps of quantization-aware training of a small residual network, and the numbers that the
    host reads in one forward and backward pass."""
    import torch
    from torch import nn

    model = _network()
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    seconds = []
    for number in range(int(steps)):
        generator = torch.Generator().manual_seed(number)
        x = torch.rand(BATCH, 3, SIZE, SIZE, generator=generator)
        x = x.contiguous(memory_format=torch.channels_last)
        target = torch.randint(0, 10, (BATCH,), generator=generator)
        started = time.perf_counter()
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), target).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        seconds.append(time.perf_counter() - started)
    return {"images_per_second": BATCH / statistics.median(seconds), "reads": _reads(),
            "digest": _digest([each.tolist() for each in model.parameters()])}  # fmt: skip


def stages(images: str, epochs: str) -> dict[str, Any]:
    """Images a second of the stages of `examples/cifar10.yaml` that train, on images of noise and
    after a teacher of ten layers: neither changes what a step costs."""
    import numpy as np
    import yaml

    from edgedistill.cache import Cache
    from edgedistill.pipeline import run_until
    from edgedistill.recipe import parse_recipe
    from edgedistill.target import load_target

    example = Path(__file__).parents[1] / "examples" / "cifar10.yaml"
    document = yaml.safe_load(example.read_text())
    random = np.random.default_rng(SEED)
    quick = {"epochs": int(epochs), "precision": "fp32"}
    with TemporaryDirectory() as folder:
        for split, count in (("train", int(images)), ("test", 64)):
            pixels = random.integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)
            labels = random.integers(0, 10, count)
            np.savez(Path(folder, f"{split}.npz"), images=pixels, labels=labels)
        document["data"] |= {"source": "arrays", **{split: str(Path(folder, f"{split}.npz"))
                                                 for split in ("train", "test")}}  # fmt: skip
        document["teacher"] = {"family": "resnet_cifar", "depth": 8, "widths": [8, 8, 8]}
        document["stages"]["teacher"] = {"train": {"epochs": 1, "precision": "fp32"}}
        document["stages"]["teach"] = {"views": 1}
        document["stages"].pop("prune")
        document["stages"]["distill"] |= quick
        document["stages"]["quantize"] |= quick
        made = run_until(parse_recipe(document, "pace", ["deterministic=true"]),
                         load_target("linux-x64"), Cache(Path(folder, "cache")), Silent(),
                         "quantize")  # fmt: skip
        rates = {f"{name}_images_per_second": made[name].metrics["images_per_second"]
                 for name in ("distill", "quantize")}  # fmt: skip
        return {**rates, "digest": made["quantize"].metrics["validation_quality"]}


class Silent:
    """A reporter that says nothing."""

    def say(self, text: str) -> None: ...

    def tick(self, label: str, done: float, total: float, note: str = "") -> None: ...


def _network() -> Any:
    import torch
    from torch import nn

    from edgedistill.compress.fake_quantize import ActivationFakeQuantize, WeightFakeQuantize

    torch.manual_seed(SEED)
    scheme: dict[str, Any] = {
        "dtype": torch.int8, "quant_min": -128, "quant_max": 127,
        "qscheme": torch.per_tensor_affine, "is_dynamic": False,
    }  # fmt: skip
    weights = {**scheme, "quant_min": -127, "qscheme": torch.per_channel_symmetric}

    class Layer(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
            super().__init__()
            self.layer, self.stride = nn.Conv2d(inputs, outputs, 3), stride
            self.rounded, self.given = (
                WeightFakeQuantize(**weights), ActivationFakeQuantize(**scheme)
            )  # fmt: skip

        def forward(self, x: Any) -> Any:
            weight = self.rounded(self.layer.weight)
            found = torch.conv2d(x, weight, self.layer.bias, self.stride, 1)
            return self.given(torch.relu(found))

    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            self.body = nn.Sequential(Layer(inputs, outputs, stride), Layer(outputs, outputs))
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride)
            self.given = ActivationFakeQuantize(**scheme)

        def forward(self, x: Any) -> Any:
            return self.given(self.body(x) + self.shortcut(x))

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                Layer(3, 16), Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2)
            )
            self.last = nn.Linear(64, 10)

        def forward(self, x: Any) -> Any:
            found = self.last(self.body(x).mean((2, 3)))
            for part in self.modules():
                if isinstance(part, ActivationFakeQuantize):
                    part.update_range()
            return found

    return Network().to(memory_format=torch.channels_last)


def _reads() -> int:
    """Numbers that the host reads from a device in a forward and a backward pass. The device is
    `meta`, which computes nothing; what is read there is taken for 1."""
    import torch
    from torch import nn
    from torch.utils._python_dispatch import TorchDispatchMode

    class Reads(TorchDispatchMode):  # type: ignore[no-untyped-call]
        count = 0

        def __torch_dispatch__(self, function: Any, _: Any, args: Any = (), kwargs: Any = None):  # type: ignore[no-untyped-def]
            if "_local_scalar_dense" not in str(function):
                return function(*args, **(kwargs or {}))
            self.count += 1
            return 1.0 if args[0].is_floating_point() else 1

    model = _network().to("meta")
    x = torch.rand(BATCH, 3, SIZE, SIZE, device="meta")
    x = x.contiguous(memory_format=torch.channels_last)
    target = torch.zeros(BATCH, dtype=torch.long, device="meta")
    with Reads() as reads:  # type: ignore[no-untyped-call]
        nn.functional.cross_entropy(model(x), target).backward()  # type: ignore[no-untyped-call]
    count: int = reads.count
    return count


def near(known: str, held: str) -> dict[str, Any]:
    """Near duplicates of `held` random fingerprints among `known` others, `PLANTED` of which are
    copies with noise."""
    import numpy as np

    from edgedistill.data.image import duplicates

    random = np.random.default_rng(SEED)
    ours, theirs = _fingerprints(random, int(held)), _fingerprints(random, int(known))
    pixels = [random.integers(0, 256, (len(each), 2, 2, 3), np.uint8) for each in (theirs, ours)]
    ours[:PLANTED] = theirs[-PLANTED:]
    pixels[1][:PLANTED] = pixels[0][-PLANTED:]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    first: Any = _Images(pixels[0])
    second: Any = _Images(pixels[1])
    started = time.perf_counter()
    found = list(duplicates._near(first, second, theirs, ours, lambda done, total: None))
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": seconds, "peak_mb": peak / 1024, "found": len(found),
            "digest": _digest(found)}  # fmt: skip


class _Images(SimpleNamespace):
    """As much of a split as is compared."""

    def __init__(self, images: Any) -> None:
        super().__init__(images=images)

    def __len__(self) -> int:
        return len(self.images)


def _fingerprints(random: Any, count: int) -> Any:
    import numpy as np

    rows = random.standard_normal((count, 64), dtype=np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


if __name__ == "__main__":
    task, *arguments = sys.argv[1:]
    tasks: dict[str, Any] = {"prune": prune, "train": train, "near": near, "stages": stages}
    print(json.dumps(tasks[task](*arguments)))
