"""A net that hears two tones, written down by hand as ONNX files, and recordings of them: what a
compile for keywords leaves, without the compile."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from exported import Silent
from made import file_entry, measurement_row, verify_row

from edgedistill.artifact import Artifact, seal
from edgedistill.data import prepare
from edgedistill.pipeline import Result
from edgedistill.recipe import ListenConfig, Recipe, parse_recipe
from edgedistill.records import ExportRecord, MeasurementsRecord, QuantizeRecord, VerifyRecord
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.runtimes.native import METADATA, describe
from edgedistill.runtimes.sequences import Stream
from edgedistill.signature import Signature, TensorSpec
from edgedistill.stages import STAGES, Context
from edgedistill.stages.listen import Config
from edgedistill.target import load_target

RATE, HOP, PLACES = 8000, 80, 20
LENGTH = HOP * PLACES
LABELS = ("high", "low", "unknown")
HERTZ = {"high": 1500.0, "low": 500.0}
_OUTPUT = TensorSpec("logits", (None, len(LABELS)), "NC")
STEP = Signature(
    (
        TensorSpec("samples", (1, HOP), range=(-1.0, 1.0)),
        TensorSpec("heard_in", (1, PLACES - 1, 2)),
    ),
    (_OUTPUT, TensorSpec("heard_out", (1, PLACES - 1, 2))),
    {"heard_out": "heard_in"},
)
MAIN = Signature((TensorSpec("samples", (None, LENGTH), range=(-1.0, 1.0)),), (_OUTPUT,))


def write(path: Path, signature: Signature) -> Path:
    """Logits of the power at each tone over the last 20 hops, and of neither."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    times = np.arange(HOP) / RATE
    waves = [
        part(2 * np.pi * hertz * times) for hertz in HERTZ.values() for part in (np.cos, np.sin)
    ]
    constants = {
        "waves": np.stack(waves, 1).astype(np.float32) * np.float32(2 / HOP),
        "pairs": np.kron(np.eye(2), [[1], [1]]).astype(np.float32),
        "slope": np.array([[300.0, 0.0, 0.0], [0.0, 300.0, 0.0]], np.float32),
        "bias": np.array([-6.0, -6.0, 0.0], np.float32),
        "hops": np.array([0, -1, HOP], np.int64),
        "axis": np.array([1], np.int64),
        "one": np.array([1], np.int64),
        "all": np.array([PLACES], np.int64),
    }
    streams = len(signature.inputs) > 1
    nodes = [
        helper.make_node("Reshape", ["samples", "hops"], ["cut"]),
        helper.make_node("MatMul", ["cut", "waves"], ["parts"]),
        helper.make_node("Mul", ["parts", "parts"], ["squares"]),
        helper.make_node("MatMul", ["squares", "pairs"], ["power"]),
        helper.make_node("Concat", ["heard_in", "power"], ["ring"], axis=1)
        if streams
        else helper.make_node("Identity", ["power"], ["ring"]),
        helper.make_node("ReduceMean", ["ring"], ["mean"], axes=[1], keepdims=0),
        helper.make_node("Gemm", ["mean", "slope", "bias"], ["logits"]),
    ]
    if streams:
        nodes.append(helper.make_node("Slice", ["ring", "one", "all", "axis"], ["heard_out"]))

    def infos(specs: Sequence[TensorSpec]) -> list[Any]:
        shapes = [[size or "batch" for size in each.shape] for each in specs]
        return [helper.make_tensor_value_info(each.name, TensorProto.FLOAT, shape)
                for each, shape in zip(specs, shapes, strict=True)]  # fmt: skip

    graph = helper.make_graph(
        nodes, "tones", infos(signature.inputs), infos(signature.outputs),
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {METADATA: describe(Spec("fp32", LABELS), signature)})
    onnx.save(model, path)
    return path


def tone(name: str, seconds: float = 0.25, level: float = 0.4) -> np.ndarray:
    times = np.arange(round(seconds * RATE)) / RATE
    return level * np.sin(2 * np.pi * HERTZ[name] * times)


def write_wav(path: Path, samples: np.ndarray, rate: int = RATE, channels: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(32767 * np.clip(samples, -1, 1)).astype("<i2").tobytes())
    return path


def write_recordings(folder: Path, minutes: float = 0.5) -> None:
    """Tones in `words`, each quieter than the one before, and noise of other tones in `other`."""
    random = np.random.default_rng(0)
    for name in HERTZ:
        for number in range(10):
            write_wav(
                folder / "words" / name / f"{number}.wav", tone(name, level=0.5 / 1.3**number)
            )
    times = np.arange(round(6 * minutes * RATE)) / RATE
    for number in range(10):
        other = 0.3 * np.sin(2 * np.pi * random.uniform(2000, 3000) * times)
        noise = 0.02 * random.normal(size=len(times))
        write_wav(folder / "other" / f"{number}.wav", other + noise)


def recipe(folder: Path, **changes: Any) -> Recipe:
    family = {"family": "function", "function": "tone_net:nothing"}
    document: dict[str, Any] = {
        "name": "tones",
        "task": "keywords",
        "data": {
            "source": "folder", "train": str(folder / "words"),
            "sound": {"rate": RATE, "seconds": LENGTH / RATE, "negatives": [str(folder / "other")]},
        },
        "teacher": family,
        "student": family,
        "stages": {"teacher": {"train": {}}, "quantize": None},
    }  # fmt: skip
    return parse_recipe({**document, **changes}, "test")


def prepared(wanted: Recipe, folder: Path) -> Artifact:
    """What the stage `data` leaves of the recordings."""
    folder.mkdir()
    return seal(folder, "data", prepare(wanted.data, wanted.task, 0, folder, Silent()), {})


def exported(folder: Path, streams: bool = True) -> Artifact:
    """The files: `main`, and with `streams` a step, in one precision."""
    (folder / "files").mkdir(parents=True)
    entries = []
    for program, signature in (("main", MAIN), ("step", STEP))[: 1 + streams]:
        path = write(folder / "files" / f"tones.{program}.onnx", signature)
        entries.append(file_entry("fp32", file=path.name, bytes=path.stat().st_size,
                                  signature=signature, program=program))  # fmt: skip
    ExportRecord(tuple(entries), LABELS, ()).write(folder)
    return seal(folder, "export", {}, {})


FEW = ListenConfig(smoothing_ms=(0.0, 50.0), refractory_ms=(500.0,))
"""Choices, so that a test is over soon."""


def listened(inputs: dict[str, Artifact], folder: Path, limit: float = 60.0) -> Artifact:
    """What the stage `listen` leaves."""
    folder.mkdir()
    context = Context(folder, 0, True, Silent(), folder.parent / "answers")
    config = Config(listen=FEW, limit=limit, processor="")
    return seal(folder, "listen", STAGES["listen"].run(config, inputs, context), {})


def compiled(folder: Path, **changes: Any) -> Result:
    """A finished compile for keywords, whose files are those tones'."""
    write_recordings(folder / "recordings")
    wanted = recipe(folder / "recordings", **changes)
    made = {"data": prepared(wanted, folder / "data"), "export": exported(folder / "export")}
    made["listen"] = listened(made, folder / "listen")
    figures = {"validation_quality": 90.0, "macs": 1.0, "params": 1.0, "seconds": 1.0}
    for name in ("teacher", "distill"):
        (folder / name / "model").mkdir(parents=True)
        (folder / name / "model" / "weights.safetensors").write_bytes(bytes(4000))
        made[name] = seal(folder / name, name, figures, {})
    (folder / "quantize").mkdir()
    QuantizeRecord(None).write(folder / "quantize")
    made["quantize"] = seal(folder / "quantize", "quantize", {}, {})
    made["verify"] = _verified(folder / "verify", folder / "export" / "files")
    (folder / "benchmark").mkdir()
    rows = [
        measurement_row("student", "onnxruntime", "fp32", time, file=f"tones.{name}.onnx",
                        program=name)
        for name, time in (("main", 0.5), ("step", 0.125))
    ]  # fmt: skip
    MeasurementsRecord(tuple(rows)).write(folder / "benchmark")
    made["benchmark"] = seal(folder / "benchmark", "benchmark", {}, {})
    return Result(wanted, load_target("linux-x64"), made)


def _verified(folder: Path, files: Path) -> Artifact:
    golden = folder / "golden"
    (golden / "step").mkdir(parents=True)
    windows = np.stack([tone(name, LENGTH / RATE) for name in HERTZ]).astype(np.float32)
    np.save(golden / "inputs.npy", windows)
    main = RUNTIMES["onnxruntime"].load(files / "tones.main.onnx")
    np.save(golden / "outputs_tones.main.onnx.npy", main(windows))
    hops = windows[0].reshape(-1, HOP)[:4]
    stream = Stream(RUNTIMES["onnxruntime"].load(files / "tones.step.onnx"))
    given = [stream(hop[None]) for hop in hops]
    np.savez(golden / "step" / "inputs.npz", samples=hops)
    columns = {name: np.concatenate([each[name] for each in given]) for name in given[0]}
    np.savez(golden / "step" / "outputs_tones.step.onnx.npz", **cast(Any, columns))
    row = verify_row("fp32", 90.0, file="tones.main.onnx")
    VerifyRecord(True, (row,), {"teacher": 91.0, "distill": 90.0, "float": 90.0}, 12).write(folder)
    return seal(folder, "verify", {}, {})
