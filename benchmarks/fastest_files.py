"""An int8 .onnx file with signed and with unsigned integers, beside ONNX Runtime's own quantizer.

One float student (a ResNet-8, fitted to scikit-learn's digits for a few epochs), one set of
calibration images. ONNX Runtime's: `quantize_static` after its `quant_pre_process`, QDQ, unsigned
activations, int8 weights by channel, `reduce_range` where the processor has no int8 dot products.
The files take turns in processes of their own; each ratio is the median over the rounds.

    python -m benchmarks.fastest_files [--rounds 9] [--seeds 0 1 2] [--epochs 4]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits

from benchmarks.common import write
from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.devices import Job, Protocol, machine, open_device, race, ratio_of
from edgedistill.models.resnet_cifar import ResidualNetwork
from edgedistill.runtimes import RUNTIMES, Spec, size_of
from edgedistill.signature import image_inputs
from edgedistill.target import Scheme

SIDES = ("signed", "unsigned", "ONNX Runtime's quantizer")
SIZE, CALIBRATION = 32, 128
DOT_PRODUCTS = bool({"avx512_vnni", "avx_vnni", "dotprod"} & set(machine()["flags"]))


def images() -> tuple[torch.Tensor, torch.Tensor]:
    """All digits as (images, 3, 32, 32) in 0..1, and their classes; the last 500 are to test."""
    digits = load_digits()
    pixels = torch.from_numpy(digits.images).float()[:, None] / 16
    large = torch.nn.functional.interpolate(pixels, size=(SIZE, SIZE), mode="bilinear")
    return large.repeat(1, 3, 1, 1).contiguous(), torch.from_numpy(digits.target)


def student(pixels: torch.Tensor, classes: torch.Tensor, seed: int, epochs: int) -> Any:
    """A fitted ResNet-8."""
    torch.manual_seed(seed)
    model = ResidualNetwork((1, 1, 1), (16, 32, 64), "conv", 10, 3)
    fit = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(pixels)).split(64):
            fit.zero_grad()
            torch.nn.functional.cross_entropy(model(pixels[rows]), classes[rows]).backward()
            fit.step()
    return model.eval()


class Reader:
    """Calibration images as ONNX Runtime's quantizer asks for them."""

    def __init__(self, name: str, pixels: np.ndarray[Any, Any]) -> None:
        self._rest = iter([{name: each[None]} for each in pixels])

    def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
        """One image, until there is none."""
        return next(self._rest, None)


def quantized_by_the_runtime(source: Path, path: Path, pixels: np.ndarray[Any, Any]) -> None:
    """An fp32 .onnx file as the runtime itself makes it int8."""
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    ready = path.with_suffix(".ready.onnx")
    quant_pre_process(str(source), str(ready))
    quantization.quantize_static(
        str(ready), str(path), Reader("pixels", pixels), per_channel=True,
        quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8, reduce_range=not DOT_PRODUCTS,
    )  # fmt: skip


def files(model: Any, given: torch.Tensor, folder: Path) -> list[Path]:
    """Of one float student, in the order of SIDES."""
    program = fold(model, image_inputs(3, SIZE, SIZE))
    prepared = prepare(program, Scheme(weight_bits=8 if DOT_PRODUCTS else 7))
    calibrate(prepared, [(each,) for each in given.split(32)])
    integers, labels = convert(prepared), tuple(map(str, range(10)))
    paths = [folder / f"{place}.onnx" for place in range(3)]
    for path, form in zip(paths, SIDES[:2], strict=False):
        spec = Spec("int8", labels, integers=form)  # type: ignore[arg-type]
        RUNTIMES["onnxruntime"].write(integers, path, spec)
    source = folder / "float.onnx"
    RUNTIMES["onnxruntime"].write(program, source, Spec("fp32", labels))
    quantized_by_the_runtime(source, paths[2], given.numpy())
    return paths


def accuracy(path: Path, pixels: torch.Tensor, classes: torch.Tensor) -> float:
    """In percent, of the test images."""
    logits = RUNTIMES["onnxruntime"].load(path)(pixels.numpy())
    return round(100 * float((logits.argmax(1) == classes.numpy()).mean()), 2)


def main() -> None:
    """Write `results/fastest_files.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=4)
    asked = parser.parse_args()
    pixels, classes = images()
    rows = []
    for seed in asked.seeds:
        model = student(pixels[:-500], classes[:-500], seed, asked.epochs)
        with TemporaryDirectory() as place, open_device("local") as device:
            folder = Path(place)
            paths = files(model, pixels[:CALIBRATION], folder)
            np.savez(folder / "inputs.npz", pixels=pixels[-32:].numpy())
            protocol = Protocol(runs=400, seconds=2.0)
            jobs = [Job(path, "onnxruntime", folder / "inputs.npz", protocol) for path in paths]
            times = race(device, jobs, asked.rounds)
            for side, path, own in zip(SIDES, paths, times, strict=True):
                row = {
                    "name": side, "seed": seed, "p50_ms": float(np.median(own)),
                    "ratio_to_the_runtimes_own": round(ratio_of(own, times[2]), 4),
                    "accuracy": accuracy(path, pixels[-500:], classes[-500:]),
                    "size_kb": size_of(path) / 1000, "rounds_ms": own,
                }  # fmt: skip
                print({key: value for key, value in row.items() if key != "rounds_ms"}, flush=True)
                rows.append(row)
    write("fastest_files", rows, seeds=asked.seeds, model="ResNet-8, 3x32x32",
          int8_dot_products=DOT_PRODUCTS)  # fmt: skip


if __name__ == "__main__":
    main()
