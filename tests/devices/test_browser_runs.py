"""Model files in a real browser, against the same runtime on this machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import LABELS, Exported
from made import write_onnx

from benchmarks.connects import can_count, counted
from edgedistill.devices import Job, Protocol, Record, Unfit, open_device
from edgedistill.devices.browser import chromium, packages
from edgedistill.devices.browser.chromium import Chromium
from edgedistill.errors import UserError
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.runtimes.tflite.file import File

pytestmark = pytest.mark.browser
ROUTE = "[2001:4860:4860::8888]"
"""What Chromium asks the kernel for a route to, to see whether it has IPv6; it sends nothing."""
QUICK = Protocol(warmup=3, runs=20, seconds=1)


@pytest.fixture(autouse=True)
def ready() -> None:
    try:
        chromium.find()
    except UserError as error:
        pytest.skip(str(error))
    if packages.absent():
        pytest.skip("edgedistill device setup browser")


@pytest.fixture
def make_job(exported: Exported, tmp_path: Path) -> Any:
    def make(model: Path, runtime: str, **changes: Any) -> Job:
        inputs = tmp_path / "inputs.npz"
        np.savez(inputs, pixels=exported.pixels(4))
        return Job(model, runtime, inputs, replace(QUICK, **changes))

    return make


def in_python(job: Job) -> dict[str, np.ndarray[Any, Any]]:
    """What the file gives on this machine, (samples, ...) by output name."""
    loaded = RUNTIMES[job.runtime].load(job.model, program=job.program)
    with np.load(job.inputs) as arrays:
        native = loaded.encode({name: arrays[name] for name in arrays})
    ones = [{name: values[i : i + 1] for name, values in native.items()} for i in range(4)]
    found = [{name: each.copy() for name, each in loaded.run(one).items()} for one in ones]
    return {name: np.concatenate([each[name] for each in found]) for name in found[0]}


def check(record: Record, job: Job, within: float) -> None:
    wanted = in_python(job)
    assert record.outputs.keys() == wanted.keys()
    for name, values in record.outputs.items():
        assert values.dtype == wanted[name].dtype
        assert values.shape == wanted[name].shape
        apart = np.abs(values.astype(np.float64) - wanted[name].astype(np.float64))
        assert apart.max() <= within * max(1.0, np.abs(wanted[name].astype(np.float64)).max())


@pytest.mark.parametrize("device", ["browser", "browser:wasm-threads"])
@pytest.mark.parametrize("runtime", ["onnxruntime", "litert"])
def test_a_float_file_gives_what_it_gives_here(
    make_job: Any, exported: Exported, runtime: str, device: str
) -> None:
    threads = 2 if device.endswith("threads") else 1
    job = make_job(exported.file(runtime, "fp32"), runtime, threads=threads)
    with open_device(device) as browser:
        record = browser.run(job)
    check(record, job, 1e-5)
    assert record.signature is not None
    assert len(record.samples_ms) == 20
    assert 0 < min(record.samples_ms) < 1000
    assert len(record.warmup_ms) % 3 == 0
    assert record.cold_load_ms is not None and record.cold_load_ms > 0
    assert record.warm_load_ms is not None and record.warm_load_ms > 0
    assert record.import_ms is not None and record.import_ms > 0
    assert record.peak_memory_mb is None


def test_integers_of_an_onnx_file_come_back_as_they_are(
    make_job: Any, exported_in_7_bits: Exported
) -> None:
    job = make_job(exported_in_7_bits.file("onnxruntime", "int8"), "onnxruntime")
    with open_device("browser") as browser:
        record = browser.run(job)
    (name,) = record.outputs
    assert record.outputs[name].dtype == np.int8
    steps = record.outputs[name].astype(int) - in_python(job)[name].astype(int)
    assert np.abs(steps).max() <= 1


def test_an_int8_tflite_file_runs_with_floats_at_its_ends(
    make_job: Any, exported: Exported, tmp_path: Path
) -> None:
    whole = make_job(exported.file("litert", "int8"), "litert")
    path = tmp_path / "float_ends.tflite"
    spec = Spec("int8", tuple(LABELS), io="float")
    signature = RUNTIMES["litert"].write(exported.program("int8"), path, spec)
    with open_device("browser") as browser:
        with pytest.raises(Unfit, match=r"LiteRT\.js takes float32, int32 and uint8, and `pix"):
            browser.run(whole)
        record = browser.run(make_job(path, "litert"))
    (output,) = signature.outputs
    wanted = in_python(make_job(path, "litert"))[output.name]
    step = in_float_steps(path)
    assert np.abs(record.outputs[output.name] - wanted).max() <= step * 1.001


def in_float_steps(path: Path) -> float:
    """The step of the integers that a file's float output comes from."""
    file = File.read(path)
    (output,) = file.graph.outputs
    producer = file.producer(output)
    assert producer is not None
    return float(file.tensor(producer.inputs[0]).quantization.scale[0])


def test_a_file_without_a_signature_is_called_by_its_tensors(
    make_job: Any, exported: Exported, tmp_path: Path
) -> None:
    file = File.read(exported.file("litert", "fp32"))
    file.model.signatureDefs = []
    path = tmp_path / "plain.tflite"
    path.write_bytes(file.pack())
    job = make_job(path, "litert")
    with open_device("browser") as browser:
        check(browser.run(job), job, 1e-5)


def test_numbers_of_every_type_go_there_and_come_back(tmp_path: Path) -> None:
    import onnx
    from onnx import helper

    kinds = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
             "float16", "float32", "float64"]  # fmt: skip

    def end(name: str, kind: str) -> Any:
        number = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
        return helper.make_tensor_value_info(name, number, [1, 3])

    graph = helper.make_graph(
        [helper.make_node("Identity", [kind], [f"{kind}_back"]) for kind in kinds],
        "types",
        [end(kind, kind) for kind in kinds],
        [end(f"{kind}_back", kind) for kind in kinds],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "types.onnx")
    given = {kind: np.array([[0, 1, 1], [1, 0, 100]]).astype(kind) for kind in kinds}
    np.savez(tmp_path / "types.npz", **given)
    with open_device("browser") as browser:
        job = Job(tmp_path / "types.onnx", "onnxruntime", tmp_path / "types.npz", QUICK)
        outputs = browser.run(job).outputs
    for kind in kinds:
        assert outputs[f"{kind}_back"].dtype == kind
        np.testing.assert_array_equal(outputs[f"{kind}_back"], given[kind])


def test_an_open_size_is_told_with_the_way_out(
    make_job: Any, exported: Exported, tmp_path: Path
) -> None:
    file = File.read(exported.file("litert", "fp32"))
    (pixels,) = file.graph.inputs
    file.tensor(pixels).shapeSignature = [-1, *list(file.tensor(pixels).shape)[1:]]
    path = tmp_path / "open.tflite"
    path.write_bytes(file.pack())
    with open_device("browser") as browser, pytest.raises(Unfit) as error:
        browser.run(make_job(path, "litert"))
    assert "Float32[-1, 8, 8, 3]" in error.value.message
    assert error.value.hint == (
        "LiteRT.js takes no axis of any size: convert the model anew with a batch of 1"
    )


def test_runs_shorter_than_the_clock_tells_are_measured_together(
    tiny_onnx: Path, tmp_path: Path
) -> None:
    inputs = tmp_path / "tiny.npz"
    np.savez(inputs, pixels=np.ones((2, 1, 8, 8), np.float32))
    with open_device("browser") as browser:
        record = browser.run(Job(tiny_onnx, "onnxruntime", inputs, QUICK))
    facts = record.conditions[-1].facts
    assert 0 < float(facts["clock_step_us"]) < 100
    shortest = float(facts["runs_in_a_sample"]) * min(record.samples_ms)
    assert shortest > 10 * float(facts["clock_step_us"]) / 1000
    assert float(facts["runs_in_a_sample"]) > 1


def test_a_protocol_that_asks_for_a_time_gets_each_run(tiny_onnx: Path, tmp_path: Path) -> None:
    inputs = tmp_path / "tiny.npz"
    np.savez(inputs, pixels=np.ones((2, 1, 8, 8), np.float32))
    whole = Protocol(warmup=3, runs=10, seconds=0.1, minimum=10, minimum_seconds=0.5)
    with open_device("browser") as browser:
        record = browser.run(Job(tiny_onnx, "onnxruntime", inputs, whole))
    assert record.conditions[-1].facts["runs_in_a_sample"] == 1
    assert sum(record.samples_ms) > 0.5 * 500
    assert len(record.samples_ms) > 10


def test_memory_is_a_run_of_its_own(make_job: Any, exported: Exported) -> None:
    job = make_job(exported.file("onnxruntime", "fp32"), "onnxruntime")
    with open_device("browser") as browser:
        record = browser.run(replace(job, memory=True))
    assert record.samples_ms == []
    assert record.cold_load_ms is None
    assert record.peak_memory_mb is not None
    assert 0 < record.peak_memory_mb < 500


def test_the_browser_says_what_it_is() -> None:
    with open_device("browser") as browser:
        seen = browser.identity()
    assert seen.isa == "wasm32"
    assert "simd128" in seen.flags
    assert "threads" not in seen.flags
    assert seen.system.startswith("Chromium 1")
    assert seen.versions["onnxruntime-web"] == packages.PACKAGES[0].version
    with open_device("browser:wasm-threads") as browser:
        assert "threads" in browser.identity().flags


def test_webgpu_is_refused_or_emulated_or_measured(make_job: Any, exported: Exported) -> None:
    """By whether the browser has no adapter, one in software, or a GPU's."""
    device = open_device("browser:webgpu")
    try:
        device.__enter__()
    except UserError as error:
        if error.message.startswith("browser:webgpu: no WebGPU: "):
            return
        raise
    for runtime, fact in (
        ("onnxruntime", "operators_in_WebGpuExecutionProvider"), ("litert", "on_gpu"),
    ):  # fmt: skip
        job = make_job(exported.file(runtime, "fp32"), runtime)
        record = device.run(job)
        check(record, job, 1e-3)
        assert fact in record.conditions[-1].facts
        assert bool(record.samples_ms) == (device.how == "measured")
        assert (record.cold_load_ms is None) == (device.how == "emulated")


def test_what_the_page_throws_is_told(make_job: Any, exported: Exported, tmp_path: Path) -> None:
    """A batch of two, which one sample is not."""
    import onnx

    model = onnx.load(write_onnx(tmp_path / "two.onnx"))
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    onnx.save(model, tmp_path / "two.onnx")
    inputs = tmp_path / "two.npz"
    np.savez(inputs, pixels=np.ones((2, 1, 8, 8), np.float32))
    with open_device("browser") as browser, pytest.raises(UserError) as error:
        browser.run(Job(tmp_path / "two.onnx", "onnxruntime", inputs, QUICK))
    assert error.value.message.startswith("two.onnx in onnxruntime, browser: Error: ")
    assert "dimension" in error.value.message
    assert "web build" in error.value.hint


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Chromium]:
    with Chromium(tmp_path) as browser:
        browser.open("about:blank")
        yield browser


def test_a_page_that_crashes_is_told(page: Chromium) -> None:
    page.ask("Page.navigate", 20, url="chrome://crash")
    with pytest.raises(chromium.Ended, match="its page crashed"):
        page.evaluate("new Promise(() => {})", 20)


def test_a_page_that_goes_on_for_ever_is_ended(page: Chromium) -> None:
    with pytest.raises(chromium.Ended, match=r"not answered Runtime\.evaluate within 0\.5 s"):
        page.evaluate("while (true);", 0.5)


def test_a_browser_starts_in_a_folder_with_a_long_path(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 40)
    folder.mkdir()
    with Chromium(folder) as browser:
        browser.open("about:blank")
        assert browser.evaluate("1 + 1", 20) == 2


def test_no_process_is_left(tmp_path: Path) -> None:
    with Chromium(tmp_path) as browser:
        browser.open("about:blank")
        assert _with_profile(tmp_path)
    assert _with_profile(tmp_path) == []


def _with_profile(folder: Path) -> list[str]:
    """Command lines of processes that name a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_text(errors="replace")
        except OSError:
            continue
        if f"--user-data-dir={folder}" in line:
            found.append(line)
    return found


@pytest.mark.skipif(not can_count(), reason="this system counts no connects")
def test_nobody_is_called_but_the_page_s_own_server(tmp_path: Path) -> None:
    """In a network of its own, where nothing could be reached, and with every connect counted."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-n", "true"]).returncode:
        pytest.skip("a network namespace cannot be had here")
    inputs = tmp_path / "tiny.npz"
    np.savez(inputs, pixels=np.ones((2, 1, 8, 8), np.float32))
    code = (
        "from pathlib import Path\n"
        "from edgedistill.devices import Job, Protocol, open_device\n"
        f"job = Job(Path({str(write_onnx(tmp_path / 'tiny.onnx'))!r}), 'onnxruntime',\n"
        f"          Path({str(inputs)!r}), Protocol(runs=20, seconds=1))\n"
        "with open_device('browser') as browser:\n"
        "    assert len(browser.run(job).samples_ms) == 20\n"
    )
    own = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    found, exit_code = counted([*own, sys.executable, "-c", code])
    assert exit_code == 0
    assert {address.rpartition(":")[0] for address in found} - {ROUTE} == {"127.0.0.1"}
