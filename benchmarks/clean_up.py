"""What the compiler takes out of the converters' graphs, and what that is worth.

Three kinds of nets with weights drawn at random, as litert-torch and torch.onnx write them and as
the compiler does: operators by type, in the file and as the runtime executes them (ONNX Runtime and
OpenVINO take some out themselves as they load), latency one by one in turn, and LiteRT's
instructions on an emulated Cortex-A76 where the emulator is set up. An int8 net is quantized once,
by the compiler.

    python -m benchmarks.clean_up
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import write
from benchmarks.nets import KINDS
from benchmarks.plain_files import plain_onnx, plain_tflite
from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.devices import Job, examined, open_device
from edgedistill.families.models import ResidualModel
from edgedistill.program import Program, graph_of
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.signature import image_inputs
from edgedistill.target import Scheme

Floats = NDArray[np.float32]
CLASSES, PAIRS, SETTLING = 10, 300, 30
CPU = "emulator:cortex-a76"


def nets() -> dict[str, tuple[Callable[[], Any], int]]:
    """By name: how one is made, and the size of its images."""
    from torchvision.models import mobilenet_v3_small

    from edgedistill.models.resnet_cifar import make

    def residual() -> Any:
        model = ResidualModel(family="resnet_cifar", depth=14, shortcut="conv")
        return make(model, CLASSES, image_inputs(3, 32, 32))

    return {
        "ViT, small": (lambda: KINDS["vision_transformer"](CLASSES), 64),
        "CIFAR ResNet-14": (residual, 32),
        "MobileNetV3-small": (lambda: mobilenet_v3_small(num_classes=CLASSES), 64),
    }


def made(name: str) -> tuple[Any, int]:
    """A net that was shown some noise, so that its batch norms are no identities; with a head that
    torchvision leaves zero, drawn too."""
    import torch

    torch.manual_seed(0)
    make, size = nets()[name]
    module = make().train()
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, torch.nn.Linear) and not layer.weight.any():
                layer.weight.normal_(std=0.1)
        for _ in range(4):
            module(torch.rand(16, 3, size, size))
    return module.eval(), size


def programs(module: Any, size: int, precision: str) -> tuple[Any, Program]:
    """(what the converters are given as it is, the compiler's own program)."""
    own = fold(module, image_inputs(3, size, size))
    if precision == "fp32":
        return module, own
    with mock.patch("edgedistill.compress.fold.batch_first", contextlib.nullcontext):
        plain = fold(module, image_inputs(3, size, size))
    return graph_of(quantized(plain, size)), quantized(own, size)


def quantized(program: Program, size: int) -> Program:
    import torch

    random = torch.Generator().manual_seed(1)
    prepared = prepare(program, Scheme())
    calibrate(prepared, [(torch.rand(8, 3, size, size, generator=random),) for _ in range(4)])
    return convert(prepared)


def operators(path: Path, runtime: str) -> Counter[str]:
    """In the file, by type; OpenVINO's as it reads it."""
    if runtime == "litert":
        from edgedistill.runtimes.tflite.file import File

        return File.read(path).count()
    if runtime == "onnxruntime":
        import onnx

        return Counter(node.op_type for node in onnx.load(path).graph.node)
    import openvino

    kinds = Counter(
        str(node.get_type_name()) for node in openvino.Core().read_model(path).get_ops()
    )
    for kind in ("Parameter", "Constant", "Result"):
        del kinds[kind]
    return kinds


class File:
    """A file that its runtime has loaded, and one inference of it."""

    def __init__(self, path: Path, runtime: str, size: int) -> None:
        self.path, self.size = path, size
        self.call = {"litert": self._litert, "onnxruntime": self._onnxruntime,
                     "openvino": self._openvino}[runtime]()  # fmt: skip
        self.samples_ms: list[float] = []

    def timed(self, pixels: Floats) -> Floats:
        """The answer as real values; encoding and decoding are not timed."""
        native = self.encode(pixels)
        begin = time.perf_counter_ns()
        answer = self.call(native)
        self.samples_ms.append((time.perf_counter_ns() - begin) / 1e6)
        return self.decode(answer)

    def encode(self, pixels: Floats) -> Any:
        return pixels

    def decode(self, answer: Any) -> Floats:
        return np.array(answer, np.float32)

    def _litert(self) -> Callable[[Any], Any]:
        from edgedistill.runtimes.litert import interpreter

        runner = interpreter(self.path.read_bytes(), 1, True)
        (given,), (gives,) = runner.get_input_details(), runner.get_output_details()
        last = given["shape"][-1] == 3
        scale, zero = given["quantization"]
        out_scale, out_zero = gives["quantization"]

        def encode(pixels: Floats) -> Any:
            values = np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)) if last else pixels
            steps = (np.rint(values / scale) + zero).clip(-128, 127) if scale else values
            return steps.astype(given["dtype"])

        def decode(answer: Any) -> Floats:
            real = np.array(answer, np.float32)
            return (real - np.float32(out_zero)) * np.float32(out_scale) if out_scale else real

        def call(native: Any) -> Any:
            runner.set_tensor(given["index"], native)
            runner.invoke()
            return runner.get_tensor(gives["index"])

        self.encode, self.decode = encode, decode  # type: ignore[method-assign]
        return call

    def _onnxruntime(self) -> Callable[[Any], Any]:
        from edgedistill.runtimes.onnxruntime import _session

        session = _session(self.path, 1, True)
        return lambda pixels: session.run(None, {"pixels": pixels})[0]

    def _openvino(self) -> Callable[[Any], Any]:
        from edgedistill.runtimes.openvino import _compile, _read

        model = _read(self.path)
        model.reshape([1, 3, self.size, self.size])
        request = _compile(model, 1, True).create_infer_request()
        return lambda pixels: request.infer([pixels])[0]


def executed(path: Path, runtime: str) -> Counter[str]:
    """What the runtime runs of a file, by type."""
    rows = RUNTIMES[runtime].load(path).operators()
    return Counter(row.type for row in rows)


TURNS = {"TRANSPOSE", "Transpose"}
BETWEEN = {"QUANTIZE", "DEQUANTIZE", "QuantizeLinear", "DequantizeLinear", "FakeQuantize"}


def compared(
    name: str, runtime: str, precision: str, size: int, before: Path, after: Path, cpu: Any
) -> dict[str, Any]:
    """Both files' operators and latencies, one run of each in turn."""
    random = np.random.default_rng(0)
    files = [File(path, runtime, size) for path in (before, after)]
    apart = span = 0.0
    for turn in range(SETTLING + PAIRS):
        pixels = random.random((1, 3, size, size), dtype=np.float32)
        first, second = (each.timed(pixels) for each in files[:: 1 if turn % 2 else -1])
        apart = max(apart, float(np.abs(first - second).max()))
        span = max(span, float(np.abs(second).max()))
    samples = [each.samples_ms[SETTLING:] for each in files]
    kinds = [operators(path, runtime) for path in (before, after)]
    ran = [executed(path, runtime) for path in (before, after)]
    row: dict[str, Any] = {"name": f"{name}, {precision}", "runtime": runtime}
    for when, counted, run in zip(("before", "after"), kinds, ran, strict=True):
        row[f"operators_{when}"] = counted.total()
        row[f"transposes_{when}"] = sum(counted[kind] for kind in TURNS)
        row[f"quantizing_{when}"] = sum(counted[kind] for kind in BETWEEN)
        row[f"executed_{when}"] = run.total()
        row[f"executed_transposes_{when}"] = sum(run[kind] for kind in TURNS)
    medians = [statistics.median(each) for each in samples]
    row["latency_ratio"] = medians[1] / medians[0]
    if cpu is not None and runtime == "litert":
        counts = [instructions(cpu, each.path, size) for each in files]
        row["instructions_ratio"] = counts[1] / counts[0]
        row["instructions"] = counts
    row["apart_of_span"] = apart / span
    details = {"kinds": [dict(each.most_common()) for each in kinds],
               "executed_kinds": [dict(each.most_common()) for each in ran],
               "samples_ms": [[round(each, 5) for each in row] for row in samples]}  # fmt: skip
    return {**row, **details}


def instructions(cpu: Any, path: Path, size: int) -> float:
    """Of one inference, on an emulated core."""
    signature = RUNTIMES["litert"].load(path).signature
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "inputs.npz"
        pixels = np.random.default_rng(0).random((1, 3, size, size), dtype=np.float32)
        values: dict[str, Any] = {signature.inputs[0].name: pixels}
        np.savez(inputs, **values)
        return float(cpu.run(Job(path, "litert", inputs, profile=False)).instructions["all"])


def rows_of(name: str, folder: Path, cpu: Any) -> Iterator[dict[str, Any]]:
    module, size = made(name)
    labels = tuple(map(str, range(CLASSES)))
    for precision in ("fp32", "int8"):
        plain, own = programs(module, size, precision)
        tflite, onnx = folder / "plain.tflite", folder / "plain.onnx"
        plain_tflite(plain, size, tflite, precision)
        plain_onnx(plain, size, onnx, precision)
        for runtime, before in (("litert", tflite), ("onnxruntime", onnx), ("openvino", onnx)):
            after = folder / f"own{RUNTIMES[runtime].suffix}"
            # As the converters have them: integers in .tflite files, and floats in .onnx files.
            ends = "integer" if runtime == "litert" else "float"
            spec = Spec(precision, labels, ends)  # type: ignore[arg-type]
            RUNTIMES[runtime].write(own, after, spec)
            yield compared(name, runtime, precision, size, before, after, cpu)


def main() -> None:
    ready = all(each.ok for rows in examined("emulator").values() for each in rows)
    cpu = open_device(CPU) if ready else None
    rows: list[dict[str, Any]] = []
    for name in nets():
        with tempfile.TemporaryDirectory() as folder:
            for row in rows_of(name, Path(folder), cpu):
                rows.append(row)
                print({key: value for key, value in row.items() if key != "samples_ms"}, flush=True)
                write("clean_up", rows, seeds=[0, 1], pairs=PAIRS, settling=SETTLING,
                      device=CPU if cpu else None)  # fmt: skip


if __name__ == "__main__":
    main()
