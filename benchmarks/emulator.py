"""What an int8 file should cost in dot products, layer by layer, and what an emulated core counts.

XNNPACK's kernels for the Arm dot product compute 16 products an instruction, in tiles of 16 output
and 4 input channels: a layer's `sdot` are its padded multiply-accumulates by 16. Depthwise
convolutions have kernels of their own, without `sdot`. Needs `edgedistill device setup emulator`.

    python -m benchmarks.emulator NAME=FILE.int8.tflite ...    # beside MLPerf Tiny's
"""

from __future__ import annotations

import math
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import DATA, write
from edgedistill.devices.emulator import Emulator, open_device
from edgedistill.devices.job import Job
from edgedistill.models.work import Product
from edgedistill.runtimes import RUNTIMES
from edgedistill.runtimes.tflite.file import File
from edgedistill.signature import TensorSpec
from edgedistill.target import Kernel, load_target

CPU, TARGET = "cortex-a76", "android-arm64"
LANES = 16
"""Products that an `sdot` on whole registers computes."""
TOLERANCE = 0.02
PEERS = (
    ("ResNet-8", "pretrainedResnet_quant.tflite"),
    ("ResNet-8, 2.5 times as wide", "pretrainedResnet_large_int8.tflite"),
    ("keywords", "kws_ref_model.tflite"),
)
TIMES = 5
"""Runs in processes of their own, whose counts must be the same."""


@dataclass(frozen=True)
class Row:
    """A layer of the file."""

    layer: str
    kind: str
    macs: int
    padded_macs: int
    """As contracts and pruning count them."""
    sdot: int


def expected_sdot(path: Path, kernel: Kernel | None = None) -> list[Row]:
    """Each layer of a .tflite file that multiplies by int8 weights, in order.

    kernel: the blocks in which the device's kernels compute; by default those of `android-arm64`.
    """
    tiles = kernel or load_target(TARGET).kernel
    assert tiles is not None
    file = File.read(path)
    rows = []
    for operator in file.operators:
        product = _product(file, operator)
        if product is not None:
            name = bytes(file.tensor(operator.outputs[0]).name or b"").decode(errors="replace")
            rows.append(
                Row(name, file.kind(operator), product.macs, product.padded(tiles),
                    _sdot(product, tiles))
            )  # fmt: skip
    return rows


def _sdot(product: Product, tiles: Kernel) -> int:
    """Positions are computed four at a time, but for a single one."""
    if product.groups > 1 and product.inputs == 1 and product.kernel <= max(tiles.depthwise_sizes):
        return 0
    positions = product.positions if product.positions == 1 else -(-product.positions // 4) * 4
    return replace(product, positions=positions).padded(tiles) // LANES


def _product(file: File, operator: Any) -> Product | None:
    """What an operator multiplies; None for one without int8 weights."""
    kind = file.kind(operator)
    if kind not in _PRODUCTS or file.dtype(operator.inputs[1]) != "int8":
        return None
    pixels = operator.inputs[2 if kind == "TRANSPOSE_CONV" else 0]
    sizes = (tuple(map(int, file.tensor(index).shape))
             for index in (pixels, operator.inputs[1], operator.outputs[0]))  # fmt: skip
    return _PRODUCTS[kind](*sizes)


Sizes = tuple[int, ...]


def _convolution(pixels: Sizes, weights: Sizes, answer: Sizes) -> Product:
    outputs, height, width, inputs = weights
    groups = pixels[3] // inputs
    return Product(groups, outputs // groups, inputs, height * width, math.prod(answer[:3]))


def _depthwise(pixels: Sizes, weights: Sizes, answer: Sizes) -> Product:
    _, height, width, outputs = weights
    each = outputs // pixels[3]
    return Product(pixels[3], each, 1, height * width, math.prod(answer[:3]))


def _transposed(pixels: Sizes, weights: Sizes, _: Sizes) -> Product:
    outputs, height, width, inputs = weights
    return Product(1, outputs, inputs, height * width, math.prod(pixels[:3]))


def _linear(pixels: Sizes, weights: Sizes, _: Sizes) -> Product:
    outputs, inputs = weights
    return Product(1, outputs, inputs, 1, math.prod(pixels) // inputs)


_PRODUCTS = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "TRANSPOSE_CONV": _transposed,
    "FULLY_CONNECTED": _linear,
}


def measured(device: Emulator, path: Path) -> dict[str, float]:
    """Instructions of one inference by class, on noise."""
    signature = RUNTIMES["litert"].load(path).signature
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "inputs.npz"
        np.savez(inputs, **{each.name: _noise(each, random) for each in signature.inputs})
        return device.run(Job(path, "litert", inputs)).instructions


def _noise(spec: TensorSpec, random: np.random.Generator) -> Any:
    shape = spec.of_batch(1)
    if spec.layout == "NHWC":
        shape = (shape[0], shape[3], shape[1], shape[2])
    return random.random(shape, dtype=np.float32)


def explained(device: Emulator, name: str, path: Path) -> dict[str, Any]:
    """A file's layers, what they should cost, and what was counted each time."""
    rows = expected_sdot(path)
    counts = [measured(device, path) for _ in range(TIMES)]
    expected, counted = sum(row.sdot for row in rows), counts[0].get("sdot", 0.0)
    return {
        "name": name,
        "bytes": path.stat().st_size,
        "macs": sum(row.macs for row in rows),
        "padded_macs": sum(row.padded_macs for row in rows),
        "expected_sdot": expected,
        "instructions": counts[0],
        "apart": counted / expected - 1,
        "within": abs(counted / expected - 1) <= TOLERANCE,
        "same_every_time": all(each == counts[0] for each in counts),
        "layers": [vars(row) for row in rows],
    }


def files() -> dict[str, Path]:
    """MLPerf Tiny's int8 files, and those of the command line."""
    given = (argument.partition("=") for argument in sys.argv[1:])
    return {
        **{f"MLPerf Tiny, {name}": DATA / "peers" / "mlperf_tiny" / file for name, file in PEERS},
        **{name: Path(file) for name, _, file in given},
    }


def main() -> None:
    rows = []
    with open_device(CPU) as device:
        for name, path in files().items():
            rows.append(explained(device, name, path))
            told = {key: value for key, value in rows[-1].items() if key != "layers"}
            print(told, flush=True)
        where = vars(device.identity())
    apart = [row["name"] for row in rows if not (row["within"] and row["same_every_time"])]
    write("emulator", rows, seeds=[0], device=where, tolerance=TOLERANCE, times=TIMES, apart=apart)
    print(f"apart: {apart or 'none'}")


if __name__ == "__main__":
    main()
