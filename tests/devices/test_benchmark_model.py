"""LiteRT's own `benchmark_model`: what it is asked, what it tells, and what can be wrong with it. A
stand-in takes its place: see `stand_in`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from far_end import FarEnd, processes
from made import in_turn
from stand_in import built, tflite

import edgedistill
from edgedistill.artifact import file_digest
from edgedistill.bundle import measure
from edgedistill.bundle.measure import Subject
from edgedistill.command_line import run
from edgedistill.devices import benchmark_model, local
from edgedistill.devices.benchmark_model import found, order
from edgedistill.devices.job import PROTOCOLS, BenchmarkModel, Job, Protocol
from edgedistill.devices.machine import machine
from edgedistill.devices.remote import device
from edgedistill.devices.remote.device import Remote
from edgedistill.errors import UserError

HERE = machine()["isa"]
MACHINES = {"x86_64": 62, "aarch64": 183}
OTHER = "aarch64" if HERE == "x86_64" else "x86_64"


def elf(path: Path, isa: str = HERE, kind: int = 3) -> Path:
    """The beginning of a program, which is none."""
    path.write_bytes(b"\x7fELF\2\1\1" + bytes(9) + bytes([kind, 0, MACHINES[isa], 0]))
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the model and the programs of these tests lie."""
    folder = tmp_path_factory.mktemp("stand_in")
    tflite(folder / "tiny.tflite")
    return folder


@pytest.fixture
def job(place: Path) -> Job:
    protocol = Protocol(warmup=3, runs=50, seconds=2, minimum=20)
    return Job(place / "tiny.tflite", "litert", place / "inputs.npz", protocol)


@pytest.fixture
def stand_in(job: Job, place: Path) -> Callable[..., Job]:
    """`stand_in(MODE)`: the job, for such a program."""

    def made(*mode: str) -> Job:
        folder = place / "".join(("program", *mode))
        if not folder.exists():
            folder.mkdir()
            built(folder, job.model, *mode)
        return replace(job, by=found(folder / "a benchmark_model", "xnnpack"))

    return made


def words(job: Job, folder: Path) -> dict[str, str]:
    by = BenchmarkModel(folder / "program", HERE)
    (folder / "order").mkdir(exist_ok=True)
    start, *flags = order(job, by, folder / "order").command("models/model.tflite")
    assert start == "./benchmark_model"
    return dict(flag.removeprefix("--").split("=") for flag in flags)


def test_a_protocol_is_put_into_its_flags(job: Job, tmp_path: Path) -> None:
    asked = replace(job.protocol, threads=2)
    assert words(replace(job, protocol=asked), tmp_path) == {
        "graph": "models/model.tflite",
        "use_xnnpack": "true",
        "num_threads": "2",
        "result_file_path": "result.pb",
        "export_model_runtime_info": "true",
        "model_runtime_info_output_file": "delegation.pb",
        "num_runs": "50",
        "min_secs": "0",
        "max_secs": "2",
        "warmup_runs": "6",
    }
    longer = words(replace(job, protocol=PROTOCOLS["mlperf"]), tmp_path)
    assert [longer[key] for key in ("num_runs", "min_secs", "max_secs")] == ["1024", "60", "500"]
    memory = words(replace(job, memory=True), tmp_path)
    assert memory["report_peak_memory_footprint"] == "true"
    assert memory["num_runs"] == "10"


def test_a_program_of_several_is_asked_for_by_its_signature(job: Job, tmp_path: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema

    from edgedistill.runtimes.tflite.file import File

    file = File.read(job.model)
    other = schema.SubGraphT()
    other.tensors, other.operators, other.inputs, other.outputs = [], [], [], []
    file.model.subgraphs.append(other)
    file.model.signatureDefs = []
    for place, name in enumerate(("main", "step")):
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = name.encode(), place
        signature.inputs, signature.outputs = [], []
        file.model.signatureDefs.append(signature)
    model = tmp_path / "both.tflite"
    model.write_bytes(file.pack())
    for place, name in enumerate(("main", "step")):
        asked = words(replace(job, model=model, program=name), tmp_path)
        assert asked["signature_to_run_for"] == name
        assert benchmark_model._place(model, name) == (name, place)


def test_what_it_tells_becomes_a_record(stand_in: Callable[..., Job]) -> None:
    asked = stand_in()
    record = local.Local().run(asked)
    assert record.summary is not None
    told = {key: value for key, value in vars(record.summary).items() if value is not None}
    assert told == {
        "runs": 50, "warmup_runs": 6, "mean_ms": 0.25, "min_ms": 0.5, "max_ms": 0.75,
        "deviation_ms": 1.0, "p50_ms": 1.25, "p5_ms": 1.5, "p95_ms": 1.75, "first_ms": 2.25,
    }  # fmt: skip
    assert record.cold_load_ms == 2.0
    assert record.peak_memory_mb == 4000 * 1024 / 1e6
    assert record.samples_ms == []
    memory = local.Local().run(replace(asked, memory=True)).summary
    assert memory is not None
    assert memory.process_memory_mb == 32 * 2**20 / 1e6


def test_each_operator_has_the_delegate_that_took_it(stand_in: Callable[..., Job]) -> None:
    record = local.Local().run(stand_in())
    assert [(row.type, row.dtype, row.where) for row in record.operators] == [
        ("ABS", "float32", "TfLiteXNNPackDelegate"),
        ("NEG", "float32", "TfLiteXNNPackDelegate"),
        ("ZEROS_LIKE", "float32", "CPU builtin"),
    ]


def test_on_a_device_it_leaves_nothing(stand_in: Callable[..., Job], tmp_path: Path) -> None:
    link = FarEnd(tmp_path / "there")
    link.place.mkdir()
    asked = stand_in()
    with Remote(link) as far:
        record = far.run(asked)
        (there,) = link.place.iterdir()
        assert sorted(path.name for path in there.iterdir()) == ["benchmark_model", "models"]
        far.run(replace(asked, memory=True))
        pushed = [line for line in link.asked if line.startswith("push benchmark_model")]
        assert len(pushed) == 1
    assert record.summary == local.Local().run(asked).summary
    assert len(record.conditions) == 2
    assert link.left() == []


def complaint(asked: Job, folder: Path) -> set[tuple[str, str]]:
    """What is told here and at the other end of a link, without the device's name."""
    link = FarEnd(folder / "there")
    link.place.mkdir()
    told = set()
    for each in (local.Local(), Remote(link)):
        with pytest.raises(UserError) as raised, each as opened:
            opened.run(asked)
        told.add((raised.value.message.removeprefix("far: "), raised.value.hint))
    assert link.left() == []
    assert processes(link.place) == []
    return told


def test_a_file_that_it_refuses_is_told(stand_in: Callable[..., Job], tmp_path: Path) -> None:
    asked = stand_in()
    content = bytearray(asked.model.read_bytes())
    content[4:8] = b"TFL4"
    model = tmp_path / "other.tflite"
    model.write_bytes(content)
    assert complaint(replace(asked, model=model), tmp_path) == {
        ("measuring other.tflite by benchmark_model: ERROR: Failed to load model",
         benchmark_model._HINT),
    }  # fmt: skip


def test_a_file_that_is_none_is_told_before(job: Job, tmp_path: Path) -> None:
    model = tmp_path / "other.tflite"
    model.write_bytes(b"\xff" * 40)
    with pytest.raises(UserError, match=r"other\.tflite: cannot be read: "):
        words(replace(job, model=model), tmp_path)


@pytest.mark.parametrize(
    ("mode", "message", "hint"),
    [
        ("OLD", ": it ended well, and wrote no result", "take a later release"),
        ("CRASHES", ": benchmark_model died (SIGABRT): INFO: Loaded model", ""),
        ("DAMAGES", "what benchmark_model wrote of {}: cannot be read: DecodeError", "see that"),
    ],
)
def test_one_that_is_old_or_broken_is_told(
    stand_in: Callable[..., Job], tmp_path: Path, mode: str, message: str, hint: str
) -> None:
    asked = stand_in(mode)
    for told in complaint(asked, tmp_path):
        assert message.format(asked.model.name) in told[0]
        assert told[1].startswith(hint)


def test_one_that_hangs_is_ended(
    stand_in: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = stand_in("HANGS")
    asked = replace(asked, protocol=replace(asked.protocol, seconds=0.5))
    for module in (local, device):
        monkeypatch.setattr(module, "_PATIENCE", 0.5)
    about = f"measuring {asked.model.name} by benchmark_model has not ended within"
    for message, hint in complaint(asked, tmp_path):
        assert message.startswith(about)
        assert hint.startswith("lower `runs`")


def test_one_that_tells_no_delegation_is_taken(stand_in: Callable[..., Job]) -> None:
    record = local.Local().run(stand_in("TELLS_NO_DELEGATION"))
    assert record.summary is not None
    assert record.operators == []


def test_what_is_no_such_program_is_refused(tmp_path: Path) -> None:
    none, script, part = tmp_path / "none", tmp_path / "script", elf(tmp_path / "part.o", kind=1)
    script.write_text("#!/bin/sh\n")
    for path, message in [
        (none, f"benchmark_model not found: {none}"),
        (tmp_path, f"{tmp_path}: is a folder; benchmark_model is meant"),
        (script, f"{script}: is no program for Linux or Android"),
        (part, f"{part}: is no program for Linux or Android"),
    ]:
        with pytest.raises(UserError) as raised:
            found(path, "xnnpack")
        assert (raised.value.message, raised.value.hint) == (message, benchmark_model._GET)
    assert found(elf(tmp_path / "one", "aarch64"), "gpu").isa == "aarch64"
    with pytest.raises(UserError, match="unknown accelerator `xnpack`"):
        found(elf(tmp_path / "one"), "xnpack")


def test_one_that_this_system_cannot_start_is_told(job: Job, tmp_path: Path) -> None:
    by = found(elf(tmp_path / "program"), "xnnpack")
    for message, hint in complaint(replace(job, by=by), tmp_path):
        assert message.startswith(f"measuring {job.model.name} by benchmark_model: ")
        assert hint == benchmark_model._HINT


def test_what_it_cannot_do_is_told_before_anything_is_measured(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def message(runtime: str = "litert", isa: str = HERE) -> str:
        subject = Subject(job.model, runtime, None, {"x": np.ones((1, 4), np.float32)})
        monkeypatch.setattr("edgedistill.api.bundles.subjects", lambda _: [subject])
        with pytest.raises(UserError) as raised:
            edgedistill.benchmark(job.model, benchmark_model=elf(tmp_path / "program", isa))
        return raised.value.message

    assert message(isa=OTHER) == f"{tmp_path}/program: is built for {OTHER}, and local is {HERE}"
    assert message("onnxruntime").startswith("none of these files is a .tflite file")
    monkeypatch.setattr(local.Local, "runs_programs", False)
    assert message() == "local cannot measure by benchmark_model"


def test_its_figures_stand_beside_ours_in_one_table(
    stand_in: Callable[..., Job],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = stand_in()
    assert asked.by
    subject = Subject(asked.model, "litert", None, {"x": np.ones((1, 4), np.float32)})
    monkeypatch.setattr("edgedistill.api.bundles.subjects", lambda _: [subject])
    monkeypatch.setattr(measure, "in_turn", lambda device, jobs, **_: in_turn(device, jobs))
    line = ["benchmark", str(asked.model), "--accelerator", "gpu", "--threads", "2"]
    line += ["--benchmark-model", str(asked.by.path)]
    assert run(line) == 0
    out, err = capsys.readouterr()
    header, *rows = (row.split() for row in out.splitlines())
    ours, theirs = (dict(zip(header, row, strict=True)) for row in rows)
    assert (ours["by"], ours["p50_ms"], ours["p95_ms"]) == ("edgedistill", "0.1", "-")
    assert (theirs["by"], theirs["p90_ms"], theirs["p99_ms"]) == ("benchmark_model", "-", "-")
    assert [theirs[f"{each}_ms"] for each in ("p50", "p95", "mean", "cold_load")] == [
        "1.25", "1.75", "0.25", "2",
    ]  # fmt: skip
    assert (
        "local: tiny.tflite: benchmark_model was asked for gpu: TfLiteXNNPackDelegate took 2 of 3 "
        "operators; left to plain kernels: ZEROS_LIKE "
    ) in err
    assert run([*line, "--json"]) == 0
    _, row = json.loads(capsys.readouterr().out)
    assert (row["by"], row["accelerator"], row["threads"]) == ("benchmark_model", "gpu", 2)
    assert row["delegated"] == 2 / 3
    assert (row["how"], row["shortfall"], row["runs"]) == ("measured", "", 200)
    assert row["process_memory_mb"] == 32 * 2**20 / 1e6
    assert row["digest"] == file_digest(asked.by.path)


def test_tensorflow_may_describe_the_same_messages() -> None:
    code = (
        "import sys\n"
        "from edgedistill.devices.messages import DETAILS, message\n"
        "message(DETAILS).FromString(b'')\n"
        "from ai_edge_litert import model_runtime_info_pb2\n"  # as TensorFlow does: in all's pool
    )
    subprocess.run([sys.executable, "-c", code], check=True)
