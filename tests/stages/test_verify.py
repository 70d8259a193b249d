from __future__ import annotations

import importlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import LABELS, Exported, Silent, answers, export

from edgedistill.artifact import Artifact, seal, write_json
from edgedistill.recipe import VerifyConfig
from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.stages import STAGES, Context
from edgedistill.stages.verify import Config


def config(asked: VerifyConfig, *models: str) -> Config:
    return Config(verify=asked, models=models, teacher=None, fingerprint="")


def run(
    folder: Path, exported: Exported, export: Artifact, asked: VerifyConfig
) -> tuple[Artifact, Silent]:
    reporter = Silent()
    inputs = {"data": exported.data, "quantize": exported.quantize, "export": export}
    context = Context(folder, 0, True, reporter, folder / "answers")
    metrics = STAGES["verify"].run(config(asked), inputs, context)
    return seal(folder, "verify", metrics, {}), reporter


@pytest.fixture(scope="module")
def verified(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("verified")
    return run(folder, exported, exported.export, VerifyConfig(layer_samples=2))[0]


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


@pytest.mark.parametrize("io", ["integer", pytest.param("float", marks=pytest.mark.slow)])
def test_a_last_layer_left_in_float_is_exported_and_checked(tmp_path: Path, io: Any) -> None:
    made = export(tmp_path, io, ("int8",), ("linear",))
    (tmp_path / "verify").mkdir()
    found, _ = run(tmp_path / "verify", made, made.export, VerifyConfig(layer_samples=2))
    document = found.json("verify.json")
    assert document["ok"], document["rows"]
    for entry in document["rows"]:
        assert entry["agreement"] >= 0.98
        assert entry["max_steps"] is None, "a float output has no steps"
    for entry in made.export.json("export.json")["files"]:
        assert entry["output"]["dtype"] == "float32"


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
    found, _ = run(tmp_path / "verify", made, made.export, VerifyConfig(layer_samples=2))
    for row in found.json("verify.json")["rows"]:
        assert row["ok"], row
    for entry in made.export.json("export.json")["files"]:
        convolutions = [name for name in entry["float_operators"] if "conv" in name.lower()]
        assert len(convolutions) == 2, entry


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
    model = build(wanted, classes=4, channels=3, image_size=8)
    save(model, tmp_path / "teacher" / "model", describe(wanted, 4, 3, 8))
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


def make_kernels_saturate(monkeypatch: pytest.MonkeyPatch, runtime: str) -> None:
    """As on a processor that adds products in 16 bits: outputs above a limit stop there."""
    module = importlib.import_module(f"edgedistill.runtimes.{runtime}")
    honest = module.load

    def saturating(path: Path, threads: int = 1, optimize: bool = True) -> Any:
        loaded = honest(path, threads, optimize)
        if optimize and "int8" in path.name:
            run = loaded.run
            monkeypatch.setattr(loaded, "run", lambda native: np.minimum(run(native), 0))
        return loaded

    monkeypatch.setattr(module, "load", saturating)


runtimes = pytest.mark.parametrize("runtime", list(RUNTIMES))


@runtimes
def test_kernels_that_saturate_are_said_and_not_held_against_the_file(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    export = int8_alone(exported, runtime, tmp_path / "export")
    make_kernels_saturate(monkeypatch, runtime)
    found, said = verdict(exported, export, tmp_path)
    assert found["missed"]
    assert found["cause"] == "this machine's kernels"
    assert found["ok"]
    assert any("it is this machine's kernels" in text for text in said)


@runtimes
def test_a_wrong_file_is_told_from_kernels_that_saturate(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    export = int8_alone(exported, runtime, tmp_path / "export", wrong="body.0.weight")
    make_kernels_saturate(monkeypatch, runtime)
    found, said = verdict(exported, export, tmp_path)
    assert not found["ok"]
    assert found["cause"] == "the file"
    assert found["first_drift"] == "body.0"
    assert any("first drifts at body.0" in text for text in said)


def int8_alone(exported: Exported, runtime: str, folder: Path, wrong: str = "") -> Artifact:
    """An export of one int8 file; `wrong` names weights that are negated in it."""
    entry = exported.entry(runtime, "int8")
    (folder / "files").mkdir(parents=True)
    right = exported.file(runtime, "int8")
    for path in (right, right.with_suffix(".bin")):
        if path.exists():
            shutil.copyfile(path, folder / "files" / path.name)
    if wrong:
        program = exported.program("int8")
        program.state_dict[wrong].data.neg_()
        spec = Spec("int8", tuple(LABELS), "integer", "tiny")
        RUNTIMES[runtime].write(program, folder / "files" / entry["file"], spec)
    write_json(folder / "export.json", {"files": [entry], "labels": LABELS})
    return seal(folder, "export", {}, {})


def verdict(exported: Exported, export: Artifact, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The one row, and what was said."""
    (folder / "verify").mkdir()
    artifact, reporter = run(folder / "verify", exported, export, VerifyConfig(layer_samples=2))
    document = artifact.json("verify.json")
    (found,) = document["rows"]
    assert document["ok"] == found["ok"]
    return found, reporter.said
