"""One tiny quantized network, exported to every runtime once for the whole run of tests."""

from __future__ import annotations

import dataclasses
import fcntl
import functools
import os
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from made import data_record
from torch import Tensor, nn
from torch.nn import functional

from edgedistill import program_file
from edgedistill.artifact import SEAL, Artifact, open_sealed, seal
from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.devices import machine
from edgedistill.program import Program, graph_of
from edgedistill.program_file import load
from edgedistill.records import ExportRecord, FileEntry, QuantizeRecord, as_json
from edgedistill.runtimes import runtime_of
from edgedistill.runtimes.layers import compare_alone, given_of
from edgedistill.runtimes.program import fold_weights
from edgedistill.signature import image_inputs
from edgedistill.stages import STAGES, Context
from edgedistill.stages.export import Config
from edgedistill.target import Precision, RuntimeName, Scheme

SIZE, LABELS = 8, ["bird", "cat", "ship", "truck"]
EXACT = bool({"avx512_vnni", "avx_vnni", "dotprod"} & set(machine()["flags"]))
"""Whether this processor sums int8 products in 32 bits. Others add pairs in 16, which saturate
where weights have all of their 8 bits, in two of the runtimes."""
MAY_SATURATE: tuple[RuntimeName, ...] = ("onnxruntime", "openvino")


class Silent:
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def tick(self, label: str, done: float, total: float, note: str = "") -> None:
        pass


class Tiny(nn.Module):
    """A residual block, then one that halves the image and pads its shortcut with channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, 1, 1), nn.BatchNorm2d(8))
        self.down = nn.Sequential(nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16))
        self.linear = nn.Linear(16, len(LABELS))

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.stem((pixels - 0.45) / 0.2)
        x = functional.relu(x + self.body(x))
        short = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4))
        x = functional.relu(short + self.down(x))
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits


@dataclasses.dataclass(frozen=True)
class Exported:
    data: Artifact
    quantize: Artifact
    export: Artifact
    metrics: dict[str, Any]

    def file(self, runtime: str, precision: str) -> Path:
        entry = self.entry(runtime, precision)
        return self.export.file("files") / entry["file"]

    def file_entry(self, runtime: str, precision: str) -> FileEntry:
        entries = ExportRecord.read(self.export).files
        wanted = (runtime, precision)
        return next(each for each in entries if (each.runtime, each.precision) == wanted)

    def entry(self, runtime: str, precision: str) -> dict[str, Any]:
        """As JSON has it."""
        entry: dict[str, Any] = as_json(self.file_entry(runtime, precision))
        return entry

    def program(self, kind: str) -> Program:
        """One for all who only read it, as what it is converted to is kept beside it."""
        return _opened(program_file.place(self.quantize.path, "main", kind))

    def own_program(self, kind: str) -> Program:
        """To change."""
        return load(program_file.place(self.quantize.path, "main", kind))

    def pixels(self, count: int = 64) -> np.ndarray[Any, Any]:
        images = np.load(self.data.file("test/images.npy"))[:count]
        return images.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)


_opened = functools.cache(load)


def answers(program: Program, pixels: Any) -> np.ndarray[Any, Any]:
    """The torch graph's logits."""
    with torch.no_grad():
        found: np.ndarray[Any, Any] = graph_of(program)(torch.from_numpy(pixels)).numpy()
    return found


def compare_layers(path: Path, program: Program, pixels: Any) -> list[dict[str, Any]]:
    """Rows of each layer of an int8 file alone, and of its output, by the runtime's usual kernels.

    program: whose integers are the file's; pixels: (samples, channels, height, width) in 0..1.
    """
    given = given_of(fold_weights(program), pixels)
    runtime = runtime_of(path).name
    return [dataclasses.asdict(row) for row in compare_alone(runtime, path, given, optimize=True)]


def _data(folder: Path) -> Artifact:
    (folder / "test").mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, (64, SIZE, SIZE, 3), np.uint8)
    np.save(folder / "test" / "images.npy", images)
    np.save(folder / "test" / "labels.npy", np.arange(64) % len(LABELS))
    np.save(folder / "test" / "samples.npy", np.arange(64))
    data_record(LABELS, SIZE, 3).write(folder)
    return seal(folder, "data", {}, {})


def _quantize(folder: Path, keep_float: tuple[str, ...], scheme: Scheme) -> Artifact:
    folder.mkdir()
    torch.manual_seed(0)
    model = Tiny()
    with torch.no_grad():
        for _ in range(8):  # batch statistics of something else than the identity
            model(torch.rand(32, 3, SIZE, SIZE))
    program = fold(model.eval(), image_inputs(3, SIZE, SIZE))
    prepared = prepare(program, scheme, keep_float)
    calibrate(prepared, [(torch.rand(32, 3, SIZE, SIZE),) for _ in range(4)])
    program_file.save(program, program_file.place(folder, "main", "float"))
    program_file.save(convert(prepared), program_file.place(folder, "main", "int8"))
    QuantizeRecord(None).write(folder)
    return seal(folder, "quantize", {}, {})


def export(
    root: Path,
    io: Literal["integer", "float"],
    precisions: tuple[Precision, ...],
    keep_float: tuple[str, ...] = (),
    scheme: Scheme = Scheme(),  # noqa: B008
    runtimes: tuple[RuntimeName, ...] = ("litert", "onnxruntime", "openvino"),
) -> Exported:
    """Files of three runtimes, or of some."""
    data, quantize = _data(root / "data"), _quantize(root / "quantize", keep_float, scheme)
    config = Config(name="tiny", runtimes=runtimes, precisions=precisions, io=io, processor="")
    (root / "export").mkdir()
    context = Context(root / "export", 0, True, Silent(), root / "answers")
    metrics = STAGES["export"].run(config, {"data": data, "quantize": quantize}, context)
    return Exported(data, quantize, seal(root / "export", "export", metrics, {}), metrics)


def _shared(factory: pytest.TempPathFactory, name: str, **options: Any) -> Exported:
    """An export that the processes which share these tests make once."""
    base = factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = root / name
    with (root / f"{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (folder / "export" / SEAL).exists():
            folder.mkdir()
            return export(folder, "integer", **options)
    data, quantize, made = (open_sealed(folder / each) for each in ("data", "quantize", "export"))
    return Exported(data, quantize, made, made.metrics)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Nine files: three runtimes, three precisions; integers at the int8 files' boundary."""
    return _shared(tmp_path_factory, "exported", precisions=("fp32", "fp16", "int8"))


@pytest.fixture(scope="session")
def exported_in_7_bits(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """int8 files whose weights have 7 bits, which no kernel of any processor saturates on."""
    return _shared(
        tmp_path_factory, "exported7", precisions=("int8",), scheme=Scheme(weight_bits=7),
        runtimes=MAY_SATURATE,
    )  # fmt: skip
