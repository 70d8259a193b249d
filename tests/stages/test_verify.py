from __future__ import annotations

import functools
import importlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import EXACT, LABELS, Exported, Silent, answers, export

from edgedistill import program_file
from edgedistill.artifact import Artifact, seal
from edgedistill.program import Program
from edgedistill.recipe import VerifyConfig
from edgedistill.records import ExportRecord
from edgedistill.runtime_table import STANDARD
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.signature import image_inputs
from edgedistill.stages import STAGES, Context
from edgedistill.stages.verify import Config


def config(asked: VerifyConfig, *models: str) -> Config:
    return Config(verify=asked, models=models, teacher=None, fingerprint="", processor="")


def run(folder: Path, exported: Exported, export: Artifact, asked: VerifyConfig) -> Artifact:
    inputs = {"data": exported.data, "quantize": exported.quantize, "export": export}
    context = Context(folder, 0, True, Silent(), folder / "answers")
    metrics = STAGES["verify"].run(config(asked), inputs, context)
    return seal(folder, "verify", metrics, {})


@pytest.fixture(scope="module", autouse=True)
def _programs_are_read_once() -> Iterator[None]:
    """Of one export, which most of these verdicts are on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program_file, "load", functools.cache(program_file.load))
        yield


@pytest.fixture(scope="module")
def verified(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("verified")
    return run(folder, exported, exported.export, VerifyConfig(layer_samples=2))


def row(artifact: Artifact, file: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = artifact.json("verify.json")["rows"]
    return next(each for each in found if each["file"] == file)


def test_every_file_follows_the_graph(verified: Artifact) -> None:
    document = verified.json("verify.json")
    assert document["ok"], document["rows"]
    assert verified.metrics["ok"]
    assert len(document["rows"]) == 9
    assert {"float", "int8"} == set(document["torch"])
    assert document["images"] == 64


def test_int8_rows_count_steps_and_layers(verified: Artifact) -> None:
    found = row(verified, "tiny.int8.tflite")
    assert found["max_steps"] <= 1
    assert found["within_step"] == 1.0
    assert found["agreement"] == 1.0
    assert {"stem.0", "linear"} <= {each["layer"] for each in found["layers"]}
    assert row(verified, "tiny.fp32.onnx")["max_steps"] is None


@pytest.mark.slow
def test_a_last_layer_left_in_float_is_exported_and_checked(tmp_path: Path) -> None:
    made = export(tmp_path, "integer", ("int8",), ("linear",))
    (tmp_path / "verify").mkdir()
    found = run(tmp_path / "verify", made, made.export, VerifyConfig(layer_samples=2))
    document = found.json("verify.json")
    assert document["ok"], document["rows"]
    for entry in document["rows"]:
        assert entry["agreement"] >= 0.98
        assert entry["max_steps"] is None, "a float output has no steps"
    for entry in made.export.json("export.json")["files"]:
        assert entry["signature"]["outputs"][0]["dtype"] == "float32"


@pytest.mark.parametrize(
    ("io", "kept"),
    [
        pytest.param("integer", ("stem.0", "down.0"), marks=pytest.mark.slow),
        ("float", ("normalize", "body.0")),
    ],
)
def test_first_and_inner_layers_left_in_float_are_so_in_every_file(
    tmp_path: Path, io: Any, kept: tuple[str, ...]
) -> None:
    made = export(tmp_path, io, ("int8",), kept)
    (tmp_path / "verify").mkdir()
    found = run(tmp_path / "verify", made, made.export, VerifyConfig(layer_samples=2))
    for row in found.json("verify.json")["rows"]:
        assert row["ok"], row
    for entry in made.export.json("export.json")["files"]:
        convolutions = [name for name in entry["float_operators"] if "conv" in name.lower()]
        assert len(convolutions) >= 2, entry


def test_golden_outputs_are_the_files_own(verified: Artifact, exported: Exported) -> None:
    inputs = np.load(verified.file("golden/inputs.npy"))
    assert inputs.shape == (8, 3, 8, 8)
    assert inputs.dtype == np.float32
    reference = answers(exported.program("float"), inputs)
    outputs = np.load(verified.file("golden/outputs_tiny.fp32.tflite.npy"))
    assert np.allclose(outputs, reference, atol=1e-4)
    assert len(list(verified.file("golden").iterdir())) == 10


def test_models_before_the_files_are_scored_on_the_same_images(
    exported: Exported, tmp_path: Path
) -> None:
    from edgedistill.models import build, describe, save
    from edgedistill.recipe import ResidualModel

    wanted = ResidualModel(family="resnet_cifar", depth=8, widths=(4, 4, 4))
    (tmp_path / "teacher").mkdir()
    model = build(wanted, 4, image_inputs(3, 8, 8))
    save(model, tmp_path / "teacher" / "model", describe(wanted, 4, image_inputs(3, 8, 8)))
    teacher = seal(tmp_path / "teacher", "teacher", {}, {})
    (tmp_path / "verify").mkdir()
    inputs = {
        "data": exported.data,
        "quantize": exported.quantize,
        "export": exported.export,
        "teacher": teacher,
    }
    context = Context(tmp_path / "verify", 0, True, Silent(), tmp_path / "answers")
    asked = config(VerifyConfig(layer_samples=1), "teacher")
    metrics = STAGES["verify"].run(asked, inputs, context)
    assert set(metrics["test_quality"]) == {"teacher", "float", "int8"}
    assert 0 <= metrics["test_quality"]["teacher"] <= 100


def make_kernels(monkeypatch: pytest.MonkeyPatch, runtime: str, saturate: bool) -> None:
    """Let a runtime's usual kernels be those of another processor: without products summed in 32
    bits, outputs above a limit stop there; with them, integers are what the plainest kernels
    compute."""
    loading = importlib.import_module(f"edgedistill.runtimes.{runtime}")
    cutting = importlib.import_module(RUNTIMES[runtime].in_layers)
    load, compute = loading.load, cutting.compute

    def load_other(path: Path, threads: int, optimize: bool, program: str) -> Any:
        loaded = load(path, threads, optimize and saturate, program)
        if optimize and saturate and "int8" in path.name:
            run = loaded.run
            monkeypatch.setattr(
                loaded, "run",
                lambda native: {name: np.minimum(each, 0) for name, each in run(native).items()},
            )  # fmt: skip
        return loaded

    def compute_other(path: Path, native: Any, given: Any, known: Any, optimize: bool) -> Any:
        computed, outputs = compute(path, native, given, known, False)
        if optimize and saturate:
            computed = {name: np.minimum(values, 60) for name, values in computed.items()}
        return computed, outputs

    monkeypatch.setattr(loading, "load", load_other)
    monkeypatch.setattr(cutting, "compute", compute_other)


runtimes = pytest.mark.parametrize("runtime", STANDARD)


@pytest.fixture(scope="module")
def wrong(exported: Exported) -> Program:
    """Weights of one layer are negated."""
    program = exported.own_program("int8")
    program.exported.state_dict["body.0.weight"].data.neg_()
    return program


@runtimes
def test_kernels_that_saturate_are_said_and_not_held_against_the_file(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    export = int8_alone(exported, runtime, tmp_path / "export")
    make_kernels(monkeypatch, runtime, saturate=True)
    found, warnings = verdict(exported, export, tmp_path)
    assert found["missed"]
    assert found["cause"] == "this machine's kernels"
    assert found["ok"]
    (text,) = warnings
    assert "it is this machine's kernels" in text
    assert "layers is right by the runtime's plainest kernels" in text
    assert "of 64 images, 100.00% decided as by the graph by the runtime's plainest" in text
    # What an app compares with is what right kernels say.
    (golden,) = (tmp_path / "verify" / "golden").glob("outputs_*.npy")
    expected = answers(exported.program("int8"), exported.pixels(8))
    saturated = np.minimum(expected, 0)
    assert np.abs(np.load(golden) - expected).max() < np.abs(saturated - expected).max()


@runtimes
def test_kernels_that_do_not_saturate_leave_nothing_to_explain(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    export = int8_alone(exported, runtime, tmp_path / "export")
    make_kernels(monkeypatch, runtime, saturate=False)
    found, warnings = verdict(exported, export, tmp_path)
    assert (found["missed"], found["cause"], found["first_diverging"]) == ([], None, None)
    assert found["ok"] and not warnings


@pytest.mark.parametrize(
    ("runtime", "saturate"),
    [
        ("onnxruntime", True),
        ("openvino", True),
        ("litert", False),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in (("onnxruntime", False), ("openvino", False), ("litert", True))
        ),
    ],
)
def test_a_wrong_file_is_told_on_either_kind_of_processor(
    exported: Exported,
    wrong: Program,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    runtime: str,
    saturate: bool,
) -> None:
    export = int8_alone(exported, runtime, tmp_path / "export", wrong)
    make_kernels(monkeypatch, runtime, saturate)
    found, warnings = verdict(exported, export, tmp_path)
    assert not found["ok"]
    assert found["cause"] == "the file"
    assert found["first_diverging"] == "body.0"
    assert "it is the file: given the graph's integers, layer `body.0` is" in warnings[0]
    assert "by the plainest kernels too (1 of" in warnings[0]


@pytest.mark.skipif(EXACT, reason="this processor's kernels saturate nowhere")
@pytest.mark.parametrize(
    "runtime", ["onnxruntime", pytest.param("openvino", marks=pytest.mark.slow)]
)
def test_a_wrong_file_is_told_where_kernels_really_saturate(
    exported: Exported, wrong: Program, tmp_path: Path, runtime: str
) -> None:
    export = int8_alone(exported, runtime, tmp_path / "export", wrong)
    found, _ = verdict(exported, export, tmp_path)
    assert (found["ok"], found["cause"]) == (False, "the file")
    assert found["first_diverging"] == "body.0"


def test_progress_counts_images_and_names_files(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks: list[tuple[float, float, str]] = []

    def note(self: Silent, label: str, done: float, total: float, note: str = "") -> None:
        if label == "verify":
            ticks.append((done, total, note))

    monkeypatch.setattr(Silent, "tick", note)
    verdict(exported, int8_alone(exported, "onnxruntime", tmp_path / "export"), tmp_path)
    assert ticks[0] == (0, 192, "the torch graph, float")
    assert ticks[-1] == (192, 192, "tiny.int8.onnx")


def int8_alone(
    exported: Exported, runtime: str, folder: Path, wrong: Program | None = None
) -> Artifact:
    """An export of one int8 file, which is the wrong program's where there is one."""
    entry = exported.file_entry(runtime, "int8")
    (folder / "files").mkdir(parents=True)
    right = exported.file(runtime, "int8")
    for path in (right, right.with_suffix(".bin")):
        if path.exists():
            shutil.copyfile(path, folder / "files" / path.name)
    if wrong is not None:
        spec = Spec("int8", tuple(LABELS), "integer", "tiny")
        RUNTIMES[runtime].write(wrong, folder / "files" / entry.file, spec)
    ExportRecord((entry,), tuple(LABELS), ()).write(folder)
    return seal(folder, "export", {}, {})


def verdict(exported: Exported, export: Artifact, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The one row, and what is warned of."""
    (folder / "verify").mkdir()
    artifact = run(folder / "verify", exported, export, VerifyConfig(layer_samples=2))
    document = artifact.json("verify.json")
    (found,) = document["rows"]
    assert document["ok"] == found["ok"]
    return found, artifact.metrics["warnings"]
