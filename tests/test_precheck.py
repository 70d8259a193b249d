"""What can be known before an image is read is told by `check`, and first by `compile`."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from edgedistill.cache import Cache
from edgedistill.command_line import run
from edgedistill.errors import UserError
from edgedistill.models import build
from edgedistill.pipeline import run_until
from edgedistill.plan import steps
from edgedistill.precheck import precheck
from edgedistill.recipe import Recipe, TorchvisionModel, parse_recipe
from edgedistill.signature import image_inputs
from edgedistill.target import load_target

STUDENT = {"family": "resnet_cifar", "depth": 8}
TRAINED: dict[str, Any] = {"stages": {"teacher": {"train": {}}}}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEDISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def recipe(teacher: Any, student: Any = None, **rest: Any) -> Recipe:
    whole = {
        "name": "r", "data": {"source": "digits", "image_size": 16}, "teacher": teacher,
        "student": student or STUDENT, **rest,
    }  # fmt: skip
    return parse_recipe(whole, "recipe")


def checked(wanted: Recipe, done: tuple[str, ...] = ()) -> list[str]:
    return precheck(wanted, steps(wanted, load_target("linux-x64")), done)


def refusal(wanted: Recipe) -> UserError:
    with pytest.raises(UserError) as caught:
        checked(wanted)
    assert caught.value.hint
    return caught.value


@pytest.fixture
def thousand(tmp_path: Path) -> Path:
    """SqueezeNet's weights for 1,000 classes."""
    torch.manual_seed(0)
    module = build(
        TorchvisionModel(family="torchvision", name="squeezenet1_1"), 1000, image_inputs(3, 32, 32)
    )
    save_file(dict(module.state_dict()), tmp_path / "thousand.safetensors")
    return tmp_path / "thousand.safetensors"


def squeezenet(weights: Path) -> dict[str, Any]:
    return {"family": "torchvision", "name": "squeezenet1_1", "weights": weights}


def test_weights_of_other_classes_want_a_training_of_the_teacher(thousand: Path) -> None:
    told = refusal(recipe(squeezenet(thousand), data={"source": "digits", "image_size": 32}))
    assert told.message == (
        "teacher `squeezenet1_1`: thousand.safetensors answers with 1000 values, 10 are wanted: "
        "the body is kept, `classifier.1` is new, and would answer by chance"
    )
    assert "`stages.teacher.train`" in told.hint


def test_what_becomes_of_weights_is_told(thousand: Path) -> None:
    given = squeezenet(thousand)
    wanted = recipe(given, given, data={"source": "digits", "image_size": 32}, **TRAINED)
    notes = checked(wanted)
    assert [note.partition(":")[0] for note in notes] == ["teacher"] * 2 + ["student"] * 2
    assert "the body is kept, `classifier.1` is new" in notes[2]
    assert "all 3 see the same image" in notes[3]
    assert len(checked(wanted, ("data", "teacher"))) == 2
    assert checked(wanted, ("data", "teacher", "distill")) == []


def test_all_that_does_not_fit_is_told_at_once(thousand: Path) -> None:
    teacher = {"family": "torchvision", "name": "squeezenet1_0", "weights": thousand}
    student = {"family": "torchvision", "name": "alexnet"}
    told = refusal(recipe(teacher, student, data={"source": "digits", "image_size": 32}, **TRAINED))
    assert "does not fit the model" in told.message
    assert "model `alexnet` cannot take 1x32x32 images" in told.message


@pytest.mark.parametrize(
    ("teacher", "package", "module"),
    [
        ({"family": "timm", "name": "resnet18"}, "timm", "timm"),
        ({"family": "keras", "path": "net.keras"}, "tensorflow", "tensorflow"),
        ({"family": "huggingface", "name": "somebody/net"}, "transformers", "transformers"),
    ],
)
def test_a_missing_package_is_named(
    teacher: dict[str, str], package: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("net.keras").write_bytes(b"")
    monkeypatch.setattr(
        "edgedistill.precheck.find_spec", lambda name: None if name == module else 1
    )
    told = refusal(recipe(teacher, **TRAINED) if package == "timm" else recipe(teacher))
    assert told.message == (
        f"teacher (family `{teacher['family']}`) needs the package {package}, which is not "
        "installed"
    )
    assert "pip install" in told.hint


def test_a_runtime_s_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "edgedistill.precheck.find_spec", lambda name: None if name == "openvino" else 1
    )
    told = refusal(recipe({"family": "resnet_cifar"}, **TRAINED))
    assert told.message == "openvino: the package `openvino` is missing"


def test_a_stage_s_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    version = importlib.metadata.version

    def without(name: str) -> str:
        if name == "torchao":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    wanted = recipe({"family": "resnet_cifar"}, **TRAINED)
    planned = steps(wanted, load_target("linux-x64"))
    monkeypatch.setattr("edgedistill.precheck.metadata.version", without)
    with pytest.raises(UserError, match="quantize: the package `torchao` is missing"):
        precheck(wanted, planned)


@pytest.mark.parametrize("family", ["torchvision", "timm"])
def test_weights_that_would_be_downloaded_are_told_and_not_fetched(family: str) -> None:
    name = "squeezenet1_1" if family == "torchvision" else "resnet18.a1_in1k"
    given = {"family": family, "name": name, "pretrained": True}
    data = {"source": "digits", "image_size": 32}
    notes = checked(recipe(given, data=data, **TRAINED))
    assert notes[0].startswith("teacher: its pretrained weights tell 1000 classes apart, 10 are")
    assert notes[-1] == (
        "teacher: its pretrained weights are not on this disk: compiling downloads them"
    )
    assert "would answer by chance" in refusal(recipe(given, data=data)).message


def test_weights_that_torchvision_has_on_disk_are_not_downloaded(tmp_path: Path) -> None:
    import torchvision.models as zoo

    url = zoo.SqueezeNet1_1_Weights.DEFAULT.url
    path = tmp_path / "torch" / "hub" / "checkpoints" / url.rpartition("/")[2]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    given = {"family": "torchvision", "name": "squeezenet1_1", "pretrained": True}
    data = {"source": "digits", "image_size": 32}
    assert not any("disk" in note for note in checked(recipe(given, data=data, **TRAINED)))


def test_a_teacher_in_a_file_is_asked_for_its_classes(tiny_onnx: Path) -> None:
    data = {"source": "digits", "image_size": 8}
    told = refusal(recipe({"family": "onnx", "path": tiny_onnx}, data=data))
    assert "answers with shape (1, 3) for 1 samples; the data has 10 classes" in told.message
    np.savez("a.npz", images=np.zeros((3, 8, 8), np.uint8), labels=np.arange(3))
    arrays = {"source": "arrays", "train": "a.npz", "test": "a.npz", "image_size": 8}
    assert (
        checked(recipe({"family": "onnx", "path": tiny_onnx}, data={**arrays, "channels": 1})) == []
    )


def test_a_function_s_model_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_too.py").write_text(
        "from torch import nn\n\ndef net(classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(99, classes))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine_too", raising=False)
    student = {"family": "function", "function": "mine_too:net"}
    told = refusal(recipe({"family": "resnet_cifar"}, student, **TRAINED))
    assert told.message.startswith("model `mine_too:net` cannot take 1x16x16 images")


class Said:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def tick(self, label: str, done: float, total: float, note: str = "") -> None:
        pass


def test_compile_begins_with_the_same_and_reads_no_image_before(tmp_path: Path) -> None:
    wanted = recipe({"family": "resnet_cifar"}, {"family": "torchvision", "name": "alexnet"},
                    **TRAINED)  # fmt: skip
    said, cache = Said(), Cache(tmp_path / "cache")
    with pytest.raises(UserError, match="cannot take 1x16x16"):
        run_until(wanted, load_target("linux-x64"), cache, said)
    assert said.lines == []


def test_check_prints_plan_and_notes(thousand: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("r.yaml").write_text(
        "name: r\ndata: {source: digits, image_size: 32}\n"
        "teacher: {family: torchvision, name: squeezenet1_1, weights: thousand.safetensors}\n"
        "student: {family: resnet_cifar, depth: 8}\nstages: {teacher: {train: {}}}\n"
    )
    assert run(["check", "r.yaml"]) == 0
    out, err = capsys.readouterr()
    assert "distill" in out
    assert "teacher: thousand.safetensors answers with 1000 values, 10 are wanted" in err
    assert run(["check", "r.yaml", "--set", "stages.teacher.train=null"]) == 2
    assert "would answer by chance" in capsys.readouterr().err
