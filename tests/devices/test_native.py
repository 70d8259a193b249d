"""The native runner on this machine: answers as the Python packages give, and its complaints."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import Exported

from edgedistill.devices import native
from edgedistill.devices.job import Job, Protocol, Record
from edgedistill.devices.machine import machine
from edgedistill.devices.native import Prepared, build
from edgedistill.errors import UserError
from edgedistill.runtimes import RUNTIMES

pytestmark = [
    pytest.mark.skipif(machine()["isa"] != "x86_64", reason="the packages here are not x86_64's"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here"),
]
PROTOCOL = Protocol(warmup=3, runs=12, seconds=5, minimum=4)
PIXELS = np.random.default_rng(0).random((5, 3, 8, 8), dtype=np.float32)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runner, built once for these tests."""
    folder = tmp_path_factory.mktemp("devices")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEDISTILL_DEVICES", str(folder))
        return native.runner("x86_64")


@pytest.fixture
def lay_out(built: Path, tmp_path: Path) -> Callable[[Job], Prepared]:
    """Put all that a job needs into the folder `there`."""

    def lay(job: Job) -> Prepared:
        there = tmp_path / "there"
        there.mkdir()
        prepared = native.prepared(job, there)
        for path in (built, *native.libraries(job.runtime, "x86_64")):
            (there / path.name).symlink_to(path)
        return prepared

    return lay


def run(prepared: Prepared, *more: str, **options: Any) -> Record:
    """Start the runner in its folder and read what it left there."""
    there = prepared.files[0].parent
    words = [*native.launch("x86_64"), *prepared.arguments("x86_64", **options), *more]
    done = subprocess.run(words, cwd=there, capture_output=True, text=True, timeout=60)
    last = (done.stderr.strip().splitlines() or [""])[-1]
    record = json.loads((there / "record.json").read_text())
    assert done.returncode == ("error" in record)
    if "error" in record:
        assert last == f"edgedistill_runner: {record['error']}"
    return native.answered(prepared, there, last)


def complaint(prepared: Prepared, *more: str, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        run(prepared, *more, **options)
    start = f"measuring {prepared.job.model.name} in {prepared.job.runtime}: "
    assert caught.value.message.startswith(start)
    return caught.value.message.removeprefix(start)


def job_of(model: Path, runtime: str, folder: Path, program: str = "main", **inputs: Any) -> Job:
    path = folder / "inputs.npz"
    np.savez(path, **(inputs or {"pixels": PIXELS}))
    return Job(model, runtime, path, PROTOCOL, program)


def in_python(job: Job) -> dict[str, Any]:
    """Outputs of each input by name, as the Python package gives them."""
    loaded = RUNTIMES[job.runtime].load(job.model, program=job.program)
    with np.load(job.inputs) as arrays:
        given = dict(arrays)
    count = len(next(iter(given.values())))
    rows = [
        {
            name: values.copy()
            for name, values in loaded.run(
                loaded.encode({each: values[at : at + 1] for each, values in given.items()})
            ).items()
        }
        for at in range(count)
    ]
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def write_two_ended(path: Path, width: int | str = 4) -> Path:
    """Sum (batch, width) and mean () of two inputs (batch, width), named against their order."""
    import onnx
    from onnx import TensorProto, helper

    def value(name: str, shape: list[int | str]) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        [
            helper.make_node("Add", ["z", "a"], ["sum"]),
            helper.make_node("ReduceMean", ["sum"], ["mean"], keepdims=0),
        ],
        "ends",
        [value("z", ["batch", width]), value("a", ["batch", width])],
        [value("sum", ["batch", width]), value("mean", [])],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_outputs_are_those_of_the_python_package_bit_for_bit(
    exported: Exported, runtime: str, precision: str, tmp_path: Path, lay_out: Any
) -> None:
    job = job_of(exported.file(runtime, precision), runtime, tmp_path)
    record = run(lay_out(job))
    (logits,), (wanted,) = record.outputs.values(), in_python(job).values()
    assert logits.dtype == wanted.dtype
    np.testing.assert_array_equal(logits, wanted)
    assert record.signature == RUNTIMES[runtime].load(job.model).signature


def test_inputs_and_outputs_go_by_their_names(tmp_path: Path, lay_out: Any) -> None:
    z, a = np.arange(8, dtype=np.float32).reshape(2, 4), np.full((2, 4), 0.5, np.float32)
    model = write_two_ended(tmp_path / "ends.onnx")
    record = run(lay_out(job_of(model, "onnxruntime", tmp_path, z=z, a=a)))
    np.testing.assert_array_equal(record.outputs["sum"], z + a)
    np.testing.assert_array_equal(record.outputs["mean"], (z + a).mean(1))


def write_merged(exported: Exported, path: Path) -> Path:
    """The fp32 file as `main` beside the int8 one as `small`."""
    from edgedistill.runtimes.tflite.file import File
    from edgedistill.runtimes.tflite.merge import merge

    parts = {"main": "fp32", "small": "int8"}
    files = {name: File.read(exported.file("litert", each)) for name, each in parts.items()}
    path.write_bytes(merge(files).pack())
    return path


@pytest.mark.parametrize("program", ["main", "small"])
def test_each_program_of_a_file_runs(
    exported: Exported, program: str, tmp_path: Path, lay_out: Any
) -> None:
    model = write_merged(exported, tmp_path / "merged.tflite")
    job = job_of(model, "litert", tmp_path, program)
    (logits,), (wanted,) = run(lay_out(job)).outputs.values(), in_python(job).values()
    assert logits.dtype == {"main": np.float32, "small": np.int8}[program]
    np.testing.assert_array_equal(logits, wanted)


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_every_time_is_taken_and_nothing_else_is_written(
    exported: Exported, runtime: str, tmp_path: Path, lay_out: Any
) -> None:
    prepared = lay_out(job_of(exported.file(runtime, "int8"), runtime, tmp_path))
    there = prepared.files[0].parent
    before = {path.name for path in there.iterdir()}
    record = run(prepared)
    assert {path.name for path in there.iterdir()} - before == set(prepared.answers)
    assert len(record.samples_ms) == 12
    assert len(record.warmup_ms) in range(6, 31, 3)
    loads = (record.import_ms, record.cold_load_ms, record.warm_load_ms)
    assert all(0 < each < 60_000 for each in (*loads, *record.samples_ms) if each is not None)
    assert None not in loads
    assert record.peak_memory_mb is None


@pytest.mark.parametrize(
    ("protocol", "least", "most"),
    [
        (Protocol(warmup=0, runs=1000, seconds=0, minimum=7), 7, 7),
        (Protocol(warmup=0, runs=9, seconds=60, minimum=7), 9, 9),
        (Protocol(warmup=0, runs=1, seconds=60, minimum=1, minimum_seconds=0.05), 2, 100_000),
    ],
)
def test_the_protocol_is_kept(
    tiny_onnx: Path, tmp_path: Path, lay_out: Any, protocol: Protocol, least: int, most: int
) -> None:
    pixels = np.zeros((2, 1, 8, 8), np.float32)
    job = replace(job_of(tiny_onnx, "onnxruntime", tmp_path, pixels=pixels), protocol=protocol)
    record = run(lay_out(job))
    assert record.warmup_ms == []
    assert least <= len(record.samples_ms) <= most


def test_a_warm_up_takes_no_longer_than_what_is_measured(
    tiny_onnx: Path, tmp_path: Path, lay_out: Any
) -> None:
    pixels = np.zeros((2, 1, 8, 8), np.float32)
    job = job_of(tiny_onnx, "onnxruntime", tmp_path, pixels=pixels)
    protocol = Protocol(warmup=3, runs=10, seconds=0.0)
    assert len(run(lay_out(replace(job, protocol=protocol))).warmup_ms) == 6


def test_operators_say_where_they_ran(exported: Exported, tmp_path: Path, lay_out: Any) -> None:
    record = run(lay_out(job_of(exported.file("litert", "int8"), "litert", tmp_path)))
    kinds = ("CONV_2D", "DEPTHWISE_CONV_2D")
    convolutions = [row for row in record.operators if row.type in kinds]
    assert {"normalize", "stem.0", "body.0"} < {row.name for row in convolutions}
    assert len(convolutions) == 4  # the pixels' normalization is one
    assert {(row.dtype, row.where) for row in convolutions} == {("int8", "XNNPACK")}
    assert len({row.name for row in record.operators}) == len(record.operators)
    assert all((row.microseconds or 0) >= 0 for row in record.operators)


def test_operators_of_onnx_runtime_are_those_of_its_python_package(
    exported: Exported, tmp_path: Path, lay_out: Any
) -> None:
    job = job_of(exported.file("onnxruntime", "int8"), "onnxruntime", tmp_path)
    found = run(lay_out(job)).operators
    wanted = RUNTIMES["onnxruntime"].load(job.model).operators()
    assert [replace(row, microseconds=None) for row in found] == [
        replace(row, microseconds=None) for row in wanted
    ]
    assert all((row.microseconds or 0) > 0 for row in found)


def test_without_profile_no_operators_are_asked_for(
    tiny_onnx: Path, tmp_path: Path, lay_out: Any
) -> None:
    job = job_of(tiny_onnx, "onnxruntime", tmp_path, pixels=np.zeros((1, 1, 8, 8), np.float32))
    prepared = lay_out(replace(job, profile=False))
    assert "profile.json" not in prepared.answers
    assert run(prepared).operators == []


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_memory_is_measured_in_a_run_that_takes_no_times(
    exported: Exported, runtime: str, tmp_path: Path, lay_out: Any
) -> None:
    job = job_of(exported.file(runtime, "fp32"), runtime, tmp_path)
    prepared = lay_out(replace(job, memory=True))
    assert prepared.answers == ("record.json",)
    record = run(prepared)
    assert record.samples_ms == []
    assert 0.1 < (record.peak_memory_mb or 0) < 100


PRELOADED = r"""
#include <stdio.h>
#include <unistd.h>
long lseek(int file, long offset, int from) {
  (void)from;
  if (file == 999) dprintf(2, "mark %lx\n", offset);
  return -1;
}
"""


def test_marks_stand_around_each_run_that_counts(
    tiny_onnx: Path, tmp_path: Path, lay_out: Any
) -> None:
    source, library = tmp_path / "seek.c", tmp_path / "seek.so"
    source.write_text(PRELOADED)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    job = job_of(tiny_onnx, "onnxruntime", tmp_path, pixels=np.zeros((1, 1, 8, 8), np.float32))
    prepared = lay_out(job)
    words = [*native.launch("x86_64"), *prepared.arguments("x86_64", mark=True)]
    # Each look at the clock while operators are watched is one more.
    del words[words.index("--profile") : words.index("--profile") + 2]
    done = subprocess.run(
        words, cwd=prepared.files[0].parent, env={"LD_PRELOAD": str(library)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr.split("\n")[:-1] == ["mark ed0001", "mark ed0002"] * 12


@pytest.mark.parametrize(
    ("cpus", "told"),
    [("0,x", "--cpus: `0,x` is no list of cores"), ("1000", "--cpus 1000: Invalid argument")],
)
def test_cores_that_are_none_are_told(
    tiny_onnx: Path, tmp_path: Path, lay_out: Any, cpus: str, told: str
) -> None:
    job = job_of(tiny_onnx, "onnxruntime", tmp_path, pixels=np.zeros((1, 1, 8, 8), np.float32))
    prepared = lay_out(job)
    assert complaint(prepared, cpus=cpus) == told
    assert len(run(prepared, cpus="0").samples_ms) == 12


@pytest.fixture
def given(tiny_onnx: Path, tmp_path: Path, lay_out: Any) -> Prepared:
    """A job in ONNX Runtime that has all it needs."""
    pixels = np.zeros((3, 1, 8, 8), np.float32)
    prepared: Prepared = lay_out(job_of(tiny_onnx, "onnxruntime", tmp_path, pixels=pixels))
    return prepared


def test_a_file_that_does_not_load_is_told(given: Prepared) -> None:
    given.files[0].write_bytes(b"no model")
    assert complaint(given).startswith("model.onnx: ONNX Runtime cannot load it: ")


def test_a_litert_file_that_does_not_load_is_told(
    exported: Exported, tmp_path: Path, lay_out: Any
) -> None:
    prepared = lay_out(job_of(exported.file("litert", "int8"), "litert", tmp_path))
    prepared.files[0].write_bytes(b"no model at all")
    assert complaint(prepared) == (
        "model.tflite: LiteRT cannot load it (status 500: no TFLite file, or it cannot be read)"
    )


@pytest.mark.parametrize(
    ("crash", "told"),
    [
        ("SIGILL", "the runtime needs an instruction that this processor does not have (SIGILL)"),
        ("SIGSEGV", "the runtime crashed (SIGSEGV): the file is damaged, or made to do that"),
        ("SIGABRT", "the runtime gave up (SIGABRT): memory ran out, or the file is damaged"),
    ],
)
def test_a_runtime_that_crashes_is_told(given: Prepared, crash: str, told: str) -> None:
    source, library = (given.files[0].parent / name for name in ("crash.c", "crash.so"))
    source.write_text(
        f"#include <signal.h>\nint OrtGetApiBase(void) {{ return raise({crash}); }}\n"
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    assert complaint(given, "--library", str(library)) == told


def test_inputs_of_a_wrong_size_are_told(given: Prepared) -> None:
    given.files[1].write_bytes(bytes(100))
    assert complaint(given) == "input0.raw: 100 bytes are no samples of `pixels`, of 256 bytes each"
    given.files[1].write_bytes(b"")
    assert complaint(given) == "input0.raw: is empty or cannot be read"
    given.files[1].unlink()
    assert complaint(given) == "input0.raw: No such file or directory"


def test_inputs_of_different_lengths_are_told(tmp_path: Path, lay_out: Any) -> None:
    values = np.zeros((2, 4), np.float32)
    model = write_two_ended(tmp_path / "ends.onnx")
    prepared = lay_out(job_of(model, "onnxruntime", tmp_path, z=values, a=values))
    prepared.files[2].write_bytes(bytes(16))
    assert complaint(prepared) == "input1.raw: 1 samples, and 2 of the inputs before"


def test_an_axis_of_any_size_is_told(tmp_path: Path, lay_out: Any) -> None:
    values = np.zeros((2, 4), np.float32)
    model = write_two_ended(tmp_path / "ends.onnx", "any")
    prepared = lay_out(job_of(model, "onnxruntime", tmp_path, z=values, a=values))
    assert complaint(prepared) == "`z` has an axis of no fixed size beside its first"


def test_unknown_ends_and_programs_are_told(given: Prepared) -> None:
    assert complaint(given, "--output", "map=map.raw") == "`map` is no output"
    assert complaint(given, "--input", "map=input0.raw") == (
        "the program has 1 inputs, and 2 were given"
    )
    told = "model.onnx: has no program `step`: an ONNX file holds one, `main`"
    assert complaint(given, "--program", "step") == told


def test_each_of_several_programs_in_onnx_is_a_file_of_its_own(
    tiny_onnx: Path, tmp_path: Path, lay_out: Any
) -> None:
    job = replace(job_of(tiny_onnx, "onnxruntime", tmp_path), program="step")
    arguments = lay_out(job).arguments("x86_64")
    assert arguments[arguments.index("--program") + 1] == "main"


def test_an_unknown_program_of_a_litert_file_is_told(
    exported: Exported, tmp_path: Path, lay_out: Any
) -> None:
    model = write_merged(exported, tmp_path / "merged.tflite")
    prepared = lay_out(job_of(model, "litert", tmp_path))
    told = "model.tflite: has no program `step`, but `main` `small`"
    assert complaint(prepared, "--program", "step") == told


def test_a_missing_library_is_told(given: Prepared) -> None:
    (given.files[0].parent / native.libraries("onnxruntime", "x86_64")[0].name).unlink()
    assert complaint(given).startswith("the runtime's library cannot be loaded: ./libonnxruntime")


def test_a_library_of_something_else_is_told(given: Prepared) -> None:
    (other,) = native.libraries("litert", "x86_64")
    told = "the runtime's library has no OrtGetApiBase: it is of another version"
    assert complaint(given, "--library", str(other)) == told


def test_outputs_that_cannot_be_written_are_told(given: Prepared) -> None:
    place = "/proc/nowhere/a.raw"
    told = f"{place}: No such file or directory"
    assert complaint(given, "--output", f"logits={place}") == told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--runs", "-3"], "--runs: `-3` is no count"),
        (["--seconds", "soon"], "--seconds: `soon` is no time"),
        (["--input", "pixels"], "--input: `pixels` is not NAME=FILE"),
        (["--runtime", "torch"], "--runtime: `torch` is neither litert nor onnxruntime"),
        (["--what", "that"], "`--what` is no option, or lacks its value"),
        (["--cpus"], "`--cpus` is no option, or lacks its value"),
    ],
)
def test_wrong_arguments_are_told(given: Prepared, words: list[str], told: str) -> None:
    assert complaint(given, *words) == told


def test_the_sources_are_those_that_the_runner_is_built_from() -> None:
    there = {path.name for path in build.sources_folder().glob("*.c")}
    assert there == {*build.SOURCES, build.COUNTER}
    readme = " ".join((build.sources_folder() / "README.md").read_text().split())
    words = [*build.SOURCES, "-ldl", "-Wl,--export-dynamic-symbol=clock_gettime"]
    assert f"-o edgedistill_runner {' '.join(words)}" in readme.replace(" \\ ", " ")
