"""What goes to a device and what comes back, without a device."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgedistill.devices import native, private
from edgedistill.devices.job import Job
from edgedistill.devices.native import Prepared, build, shared
from edgedistill.errors import UserError


@pytest.fixture
def prepared(tiny_onnx: Path, tmp_path: Path) -> Prepared:
    np.savez(tmp_path / "inputs.npz", pixels=np.zeros((40, 1, 8, 8), np.float32), more=np.ones(40))
    (tmp_path / "there").mkdir()
    job = Job(tiny_onnx, "onnxruntime", tmp_path / "inputs.npz")
    return native.prepared(job, tmp_path / "there")


RECORD: dict[str, Any] = {
    "open_ms": 30.0, "cold_load_ms": 4.0, "warm_load_ms": 2.0, "warmup_ms": [0.2, 0.1],
    "samples_ms": [0.1, 0.3], "outputs": {"logits": {"dtype": "float32", "shape": [1, 3]}},
}  # fmt: skip


def answer(prepared: Prepared, record: Any = RECORD, values: bytes = bytes(32 * 12)) -> Path:
    """A folder with what a runner left."""
    there = prepared.files[0].parent
    (there / "record.json").write_text(record if isinstance(record, str) else json.dumps(record))
    (there / "output0.raw").write_bytes(values)
    (there / "profile.json").write_text("[]")
    return there


def test_a_job_is_written_as_the_file_takes_it(prepared: Prepared) -> None:
    assert [path.name for path in prepared.files] == ["model.onnx", "input0.raw"]
    assert prepared.files[1].stat().st_size == 32 * 64 * 4
    assert prepared.answers == ("record.json", "profile.json", "output0.raw")
    assert prepared.samples == 32


def test_arguments_name_files_of_one_folder(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    words = prepared.arguments("x86_64", beside="../libraries", mark=True, cpus="2,3")
    library = words[words.index("--library") + 1]
    assert library.startswith("../libraries/libonnxruntime.so.")
    assert words[words.index("--model") + 1] == "model.onnx"
    assert words[words.index("--cpus") + 1] == "2,3"
    ends = ["--input", "pixels=input0.raw", "--output", "logits=output0.raw"]
    assert words[-5:] == ["--mark", *ends]
    assert "--memory" not in words


def test_inputs_that_are_not_there_are_told(tiny_onnx: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "inputs.npz", image=np.zeros((1, 1, 8, 8), np.float32))
    with pytest.raises(UserError) as caught:
        native.prepared(Job(tiny_onnx, "onnxruntime", tmp_path / "inputs.npz"), tmp_path)
    assert caught.value.message == f"{tmp_path}/inputs.npz: has image; `tiny.onnx` takes pixels"
    (tmp_path / "inputs.npz").write_bytes(b"none")
    with pytest.raises(UserError, match=r"inputs\.npz: cannot be read"):
        native.prepared(Job(tiny_onnx, "onnxruntime", tmp_path / "inputs.npz"), tmp_path)


def test_a_runtime_that_needs_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        native.prepared(Job(tmp_path / "a.xml", "openvino", tmp_path / "inputs.npz"), tmp_path)
    assert caught.value.message == "`openvino` does not run on a device without Python"
    assert caught.value.hint == "take a file of one of: litert, onnxruntime"


def test_an_answer_becomes_a_record(prepared: Prepared) -> None:
    values = np.arange(32 * 3, dtype=np.float32)
    record = native.answered(prepared, answer(prepared, values=values.tobytes()))
    assert (record.import_ms, record.cold_load_ms, record.warm_load_ms) == (30.0, 4.0, 2.0)
    assert (record.warmup_ms, record.samples_ms) == ([0.2, 0.1], [0.1, 0.3])
    np.testing.assert_array_equal(record.outputs["logits"], values.reshape(32, 3))


@pytest.mark.parametrize(
    ("shape", "each"),
    [([1, 3], [3]), ([3], [3]), ([3, 1], [3, 1]), ([1, 1, 3], [1, 3])],
)
def test_an_axis_for_the_batch_is_that_of_the_samples(
    prepared: Prepared, shape: list[int], each: list[int]
) -> None:
    outputs = {"logits": {"dtype": "float32", "shape": shape}}
    record = native.answered(prepared, answer(prepared, RECORD | {"outputs": outputs}))
    assert record.outputs["logits"].shape == (32, *each)


def test_a_runner_that_left_no_record_is_told_by_its_last_words(prepared: Prepared) -> None:
    with pytest.raises(UserError) as caught:
        native.answered(prepared, prepared.files[0].parent, "Killed")
    told = "measuring tiny.onnx in onnxruntime: the runner died: Killed"
    assert caught.value.message == told
    with pytest.raises(UserError, match="the runner died: without a word"):
        native.answered(prepared, prepared.files[0].parent)


def test_an_instruction_that_is_lacking_has_a_hint_of_its_own(prepared: Prepared) -> None:
    record = {"error": "the runtime needs an instruction that ... (SIGILL)"}
    with pytest.raises(UserError) as caught:
        native.answered(prepared, answer(prepared, record))
    assert caught.value.hint.startswith("take a later processor, or a version of the runtime")


@pytest.mark.parametrize(
    ("record", "values"),
    [
        ("{", bytes(32 * 12)),
        ("[]", bytes(32 * 12)),
        (RECORD | {"samples_ms": None}, bytes(32 * 12)),
        (RECORD | {"outputs": {}}, bytes(32 * 12)),
        (RECORD, bytes(32 * 12 - 4)),
        (RECORD | {"outputs": {"logits": {"dtype": "odd", "shape": [1, 3]}}}, bytes(32 * 12)),
    ],
)
def test_a_damaged_answer_is_told(prepared: Prepared, record: Any, values: bytes) -> None:
    there = answer(prepared, record, values)
    with pytest.raises(UserError, match=r"record\.json: (cannot be read|not valid JSON)"):
        native.answered(prepared, there)


def test_libraries_for_another_processor_come_from_the_private_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEDISTILL_DEVICES", str(tmp_path))
    python = tmp_path / "aarch64" / "python" / "ai_edge_litert"
    with pytest.raises(UserError) as caught:
        native.libraries("litert", "aarch64")
    assert caught.value.message == f"litert: its library for aarch64 is not in {python}"
    python.mkdir(parents=True)
    (python / "libLiteRt.so").touch()
    lib = tmp_path / "aarch64" / "lib"
    with pytest.raises(UserError) as caught:
        native.libraries("litert", "aarch64")
    assert caught.value.message == (
        f"ld-linux-aarch64.so.1, which aarch64 programs need, is not in {lib}"
    )
    lib.mkdir()
    for name in shared.SYSTEM:
        (lib / name).touch()
    found = native.libraries("litert", "aarch64")
    assert found[0] == python / "libLiteRt.so"
    assert {path.parent for path in found[1:]} == {lib}


def test_another_processors_runner_starts_by_a_loader_of_its_own() -> None:
    assert native.launch("x86_64") == ["./edgedistill_runner"]
    assert native.launch("aarch64", "lib") == [
        "lib/ld-linux-aarch64.so.1", "--library-path", "lib", "./edgedistill_runner",
    ]  # fmt: skip


def test_a_processor_that_nothing_is_built_for_is_told() -> None:
    for ask in (native.runner, lambda isa: native.libraries("litert", isa)):
        with pytest.raises(UserError) as caught:
            ask("riscv64")
        assert caught.value.message == "nothing measures on `riscv64` processors"


def test_a_missing_compiler_is_told_with_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEDISTILL_DEVICES", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    name, packages = build.compiler_of("aarch64")
    with pytest.raises(UserError) as caught:
        native.runner("aarch64")
    told = f"the runner for aarch64 cannot be built: there is no `{name}` on PATH"
    assert caught.value.message == told
    assert caught.value.hint.startswith(f"`apt-get install {packages}`")


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
def test_the_runner_is_built_once_for_the_same_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEDISTILL_DEVICES", str(tmp_path / "devices"))
    isa = next(each for each in shared.ISAS if build.compiler_of(each)[0] == "cc")
    first = native.runner(isa)
    made = first.stat().st_mtime_ns
    assert native.runner(isa) == first
    assert first.stat().st_mtime_ns == made
    sources = tmp_path / "sources"
    shutil.copytree(build.sources_folder(), sources)
    with (sources / "system.c").open("a") as file:
        file.write("\n#error broken\n")
    monkeypatch.setattr(build, "sources_folder", lambda: sources)
    with pytest.raises(UserError, match=r"cannot build the runner: .*#error broken"):
        native.runner(isa)
    assert [path for path in (tmp_path / "devices" / "runner").rglob("*") if path.is_file()] == [
        first
    ]


def test_the_private_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EDGEDISTILL_DEVICES", str(tmp_path))
    assert private.folder() == tmp_path
    monkeypatch.delenv("EDGEDISTILL_DEVICES")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert private.folder() == tmp_path / ".cache" / "edgedistill" / "devices"
