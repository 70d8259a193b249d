"""What a manifest says is enough to run its files: read here as an app developer would, by the
runtimes themselves and the manifest's own words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import Exported

from edgedistill.bundle import Bundle, write_bundle
from edgedistill.bundle.explain import explained, notes
from edgedistill.bundle.manifest import Manifest
from edgedistill.recipe import VerifyConfig
from edgedistill.runtime_table import STANDARD
from edgedistill.runtimes import RUNTIMES

FILES = [(runtime, precision) for runtime in STANDARD for precision in ("fp32", "fp16", "int8")]


def raw(runtime: str, path: Path, native: np.ndarray) -> np.ndarray:
    """The file's answer to arrays of its own kind, without a line of the product's."""
    if runtime == "onnxruntime":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: native})[0]
    if runtime == "openvino":
        import openvino

        model = openvino.compile_model(
            str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        )
        return np.concatenate([model([image[None]])[0].copy() for image in native])
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    answers = []
    for image in native:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    return np.concatenate(answers)


@pytest.fixture(scope="module")
def described(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """(folder, entries) as a bundle has them, of every file."""
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "golden").mkdir()
    pixels = exported.pixels(6)
    np.save(folder / "golden" / "inputs.npy", pixels)
    entries = []
    for runtime, precision in FILES:
        entry = exported.file_entry(runtime, precision)
        loaded = RUNTIMES[runtime].load(exported.file(runtime, precision))
        np.save(folder / "golden" / f"outputs_{entry.file}.npy", loaded(pixels))
        entries.append(explained(entry, folder, VerifyConfig()).model_dump(mode="json"))
    return folder, json.loads(json.dumps(entries))


def entry_of(described: Any, runtime: str, precision: str) -> dict[str, Any]:
    wanted = (runtime, precision)
    return next(each for each in described[1] if (each["runtime"], each["precision"]) == wanted)


@pytest.mark.parametrize(("runtime", "precision"), FILES)
def test_golden_data_of_a_file_are_what_it_takes_and_gives(
    exported: Exported, described: Any, runtime: str, precision: str
) -> None:
    entry = entry_of(described, runtime, precision)
    golden = entry["golden"]
    native = np.load(described[0] / golden["input"])
    expected = np.load(described[0] / golden["output"])
    found = raw(runtime, exported.file(runtime, precision), native)
    assert found.dtype == expected.dtype == entry["output"]["dtype"]
    apart = np.abs(found.astype(np.float64) - expected)
    assert np.mean(apart <= golden["tolerance"]) >= golden["share"]


@pytest.mark.parametrize(("runtime", "precision"), FILES)
def test_a_photo_is_fed_by_the_words_alone(
    exported: Exported, described: Any, runtime: str, precision: str
) -> None:
    """Bytes to the file's input and its output to real values, by what the notes say."""
    entry = entry_of(described, runtime, precision)
    photo = np.load(exported.data.file("test/images.npy"))[:6]  # (batch, height, width, channels)
    words = entry["notes"]["input"]
    if shift := re.search(r"feed byte - (\d+) as int8", words):
        native = (photo.astype(np.int16) - int(shift[1])).astype(np.int8)
    else:
        assert "feed byte / 255" in words
        native = photo.astype(np.float32) / 255
    if "(batch, channels, height, width)" in words:
        native = native.transpose(0, 3, 1, 2)
    native = np.ascontiguousarray(native)
    assert np.array_equal(native, np.load(described[0] / entry["golden"]["input"]))
    found = raw(runtime, exported.file(runtime, precision), native).astype(np.float64)
    formula = re.search(r"real = ([\d.e-]+) \* \(stored ([+-]) (\d+)\)", entry["notes"]["output"])
    if formula:
        sign = 1 if formula[2] == "+" else -1
        found = float(formula[1]) * (found + sign * int(formula[3]))
    real = np.load(described[0] / "golden" / f"outputs_{entry['file']}.npy")
    step = float(formula[1]) if formula else entry["golden"]["tolerance"]
    assert np.mean(np.abs(found - real) <= 1.01 * step) >= entry["golden"]["share"]


def test_another_scale_of_pixels_is_a_formula_of_its_own(
    exported: Exported, described: Any, tmp_path: Path
) -> None:
    entry = exported.file_entry("litert", "int8")
    pixels = replace(entry.input, scale=0.01, zero_point=-20)
    entry = replace(entry, signature=replace(entry.signature, inputs=(pixels,)))
    (tmp_path / "golden").mkdir()
    for name in ("inputs.npy", f"outputs_{entry.file}.npy"):
        np.save(tmp_path / "golden" / name, np.load(described[0] / "golden" / name))
    told = explained(entry, tmp_path, VerifyConfig()).notes
    assert told is not None
    assert told["input"].endswith(
        "real = 0.01 * (stored + 20), real values in 0..1: feed round(byte / 255 / 0.01) + -20 of "
        "an 8-bit photo, cut to -128..127, as int8"
    )


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression", "retrieval"])
def test_every_task_says_how_to_read_its_outputs(task: str) -> None:
    assert notes(task, 1.5)["output"]
    assert "softmax(real / temperature)" in notes("classification", 1.5)["output"]
    assert "1.5" in notes("classification", 1.5)["output"]


def test_a_bundle_explains_itself(make_result: Callable[..., Any], tmp_path: Path) -> None:
    bundle = write_bundle(make_result(), tmp_path / "bundle")
    assert set(bundle.manifest["notes"]) == {"numbers", "input", "output", "labels", "golden"}
    assert bundle.files[0]["notes"]["input"] == (
        "float32 (any, 1, 8, 8): (batch, channels, height, width), in any batches; real values in "
        "0..1: feed byte / 255 of an 8-bit photo"
    )
    for entry in bundle.files:
        assert entry["golden"]["output"] in bundle.manifest["digests"]


def test_a_bundle_of_before_there_were_notes_still_opens(
    make_result: Callable[..., Any], tmp_path: Path
) -> None:
    bundle = write_bundle(make_result(), tmp_path / "bundle")
    path = bundle.path / "edgedistill.json"
    manifest = json.loads(path.read_text())
    del manifest["notes"]
    for entry in manifest["files"]:
        del entry["notes"], entry["golden"]
    path.write_text(json.dumps(manifest))
    assert Bundle.load(bundle.path).labels == ["bird", "cat", "ship"]
    assert Manifest.model_validate_json(json.dumps(manifest)).notes is None
