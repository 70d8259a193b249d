"""How many multiplying instructions an int8 file should take, layer by layer, and how many emulated
cores count.

XNNPACK multiplies in tiles of output channels, input channels and positions; what does not fill one
costs as if it did. With the tile of a core's kernels, and the products that one instruction of
theirs computes, a file's layers give the count to the instruction. It also says what the targets'
`kernel`, by which padded multiply-accumulates are counted, leaves out: positions, of which there
are mostly many. Needs `edgedistill device setup emulator`.

    python -m benchmarks.emulator NAME=FILE.int8.tflite ...    # beside MLPerf Tiny's
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, replace
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

TOLERANCE = 0.02
TIMES = 5
"""Runs in processes of their own, whose counts must be the same; on the first core."""
PEERS = (
    ("ResNet-8", "pretrainedResnet_quant.tflite"),
    ("ResNet-8, 2.5 times as wide", "pretrainedResnet_large_int8.tflite"),
    ("keywords", "kws_ref_model.tflite"),
)


@dataclass(frozen=True)
class Core:
    """A processor, and the kernels of XNNPACK's `gemm-config.c` for it."""

    cpu: str
    instruction: str
    """That multiplies, by the emulator's classes."""
    products: int
    """That one such instruction computes."""
    channels: tuple[int, int]
    """Output and input channels of a tile: NR, and KR."""
    positions: int
    """Of a tile: MR."""
    least: int = 1
    """Positions where there is one alone."""


CORES = (
    Core("cortex-a76", "sdot", 16, (16, 4), 4),
    # `smmla` multiplies two rows by two columns.
    Core("i8mm", "smmla", 32, (16, 8), 4, least=2),
    Core("cortex-a53", "smlal", 4, (16, 1), 4),
    Core("cortex-a72", "smlal", 8, (8, 8), 2),
)
TILES = load_target("android-arm64").kernel
"""By which padded multiply-accumulates are counted here."""
DEPTHWISE = Kernel(output_channels=1, depthwise=8)
"""Kernels for depthwise convolutions, on every core: of 3, 9 and 25 elements, with `smlal` of eight
products. They compute 16 channels at once, and what is left by eight."""


@dataclass(frozen=True)
class Row:
    """A layer of a file."""

    layer: str
    kind: str
    macs: int
    padded_macs: int
    """As contracts and pruning count them."""
    instructions: dict[str, int]


def expected(path: Path, core: Core = CORES[0]) -> list[Row]:
    """Each layer of a .tflite file that multiplies by int8 weights, in order."""
    assert TILES is not None
    file = File.read(path)
    rows = []
    for operator in file.operators:
        product = _product(file, operator)
        if product is not None:
            name = bytes(file.tensor(operator.outputs[0]).name or b"").decode(errors="replace")
            rows.append(
                Row(name, file.kind(operator), product.macs, product.padded(TILES),
                    _instructions(product, core))
            )  # fmt: skip
    return rows


def total(rows: list[Row]) -> Counter[str]:
    """Instructions of a whole file, by class."""
    return sum((Counter(row.instructions) for row in rows), Counter[str]())


def _instructions(product: Product, core: Core) -> dict[str, int]:
    sizes = [size for size in DEPTHWISE.depthwise_sizes if size >= product.kernel]
    if product.groups > 1 and product.inputs == 1 and sizes:
        computed = replace(product, kernel=sizes[0]).padded(DEPTHWISE)
        return {"smlal": computed // 8}
    outputs, inputs = core.channels
    tiles = -(-product.positions // core.positions)
    positions = core.least if product.positions == 1 else tiles * core.positions
    tile = Kernel(output_channels=outputs, input_channels=inputs, depthwise_sizes=())
    padded = replace(product, positions=positions).padded(tile)
    return {core.instruction: padded // core.products}


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


def explained(core: Core, device: Emulator, name: str, path: Path) -> dict[str, Any]:
    """A file's layers, what they should cost, and what was counted each time."""
    rows = expected(path, core)
    main = core is CORES[0]
    counts = [measured(device, path) for _ in range(TIMES if main else 1)]
    wanted, counted = total(rows), counts[0]
    apart = {each: counted.get(each, 0.0) / count - 1 for each, count in wanted.items()}
    return {
        "name": name,
        "cpu": core.cpu,
        "macs": sum(row.macs for row in rows),
        "padded_macs": sum(row.padded_macs for row in rows),
        "expected": wanted,
        "instructions": counted,
        "apart": apart,
        "within": abs(apart[core.instruction]) <= TOLERANCE,
        "same_every_time": all(each == counted for each in counts),
        # Products of activations multiply with `smlal` too.
        "multiplied_activations": File.read(path).count()["MUL"],
        "layers": [asdict(row) for row in rows] if main else [],
    }


def files() -> dict[str, Path]:
    """MLPerf Tiny's int8 files, and those of the command line."""
    given = (argument.partition("=") for argument in sys.argv[1:])
    return {
        **{f"MLPerf Tiny, {name}": DATA / "peers" / "mlperf_tiny" / file for name, file in PEERS},
        **{name: Path(file) for name, _, file in given},
    }


def main() -> None:
    rows, devices = [], {}
    for core in CORES:
        with open_device(core.cpu) as device:
            devices[core.cpu] = asdict(device.identity())
            for name, path in files().items():
                rows.append(explained(core, device, name, path))
                told = {key: value for key, value in rows[-1].items() if key != "layers"}
                print(told, flush=True)
    apart = [f"{row['name']} on {row['cpu']}" for row in rows
             if not (row["within"] and row["same_every_time"])]  # fmt: skip
    write("emulator", rows, seeds=[0], devices=devices, cores=[asdict(core) for core in CORES],
          tolerance=TOLERANCE, times=TIMES, apart=apart)  # fmt: skip
    print(f"apart: {apart or 'none'}")


if __name__ == "__main__":
    main()
