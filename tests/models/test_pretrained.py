"""Weights of three channels under grey images, and of other classes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from safetensors.torch import save_file
from torch import nn

from edgedistill.errors import UserError
from edgedistill.models import build, check_knows, describe, load, origin, preview, save
from edgedistill.models.normalized import Spread
from edgedistill.recipe import Model
from edgedistill.signature import image_inputs

SIZE, CLASSES = 40, 5
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
NETS = """
from torch import nn

class Net(nn.Module):
    '''The head is registered first, the first layer last.'''

    def __init__(self, classes, channels):
        super().__init__()
        self.head = nn.Linear(6, classes)
        self.extra = nn.Linear(6, 1000)
        self.stem = nn.Conv2d(channels, 6, 3, 2, 1)

    def forward(self, pixels):
        seen = self.stem(pixels).relu().mean((2, 3))
        if self.training:
            self.extra(seen)
        return self.head(seen)

def net(classes, channels=3):
    return Net(classes, channels)
"""
MODELS: list[dict[str, Any]] = [
    {"family": "torchvision", "name": "shufflenet_v2_x0_5"},
    {"family": "torchvision", "name": "squeezenet1_1"},
    {"family": "timm", "name": "mobilenetv3_small_050"},
    {"family": "function", "function": "my_own_nets:net"},
    {"family": "resnet_cifar", "depth": 8},
]


def model(**values: Any) -> Any:
    return TypeAdapter(Model).validate_python(values)


@pytest.fixture(autouse=True)
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_own_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_own_nets", raising=False)
    torch.manual_seed(0)


@pytest.fixture(params=MODELS, ids=lambda values: values.get("name", values["family"]))
def trained(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, Any], nn.Module]:
    """A model of 1,000 classes and three channels, and how a recipe names it with its weights."""
    module = build(model(**request.param), 1000, image_inputs(3, SIZE, SIZE)).eval()
    for each in module.modules():
        if isinstance(each, nn.BatchNorm2d):
            each.get_buffer("running_mean").uniform_(-1, 1)
            each.get_buffer("running_var").uniform_(0.5, 2)
    path = tmp_path / "weights.safetensors"
    save_file({n: t.contiguous() for n, t in module.state_dict().items()}, path)
    return {**request.param, "weights": path}, module


# --- grey images ------------------------------------------------------------------------------


def test_a_grey_image_is_one_of_three_equal_channels(
    trained: tuple[dict[str, Any], nn.Module], tmp_path: Path
) -> None:
    values, original = trained
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in IMAGENET)
    recipe = model(**values, mean=IMAGENET[0], std=IMAGENET[1])
    module = build(recipe, 1000, image_inputs(1, SIZE, SIZE)).eval()
    grey = torch.rand(3, 1, SIZE, SIZE)
    with torch.no_grad():
        wanted, found = original((grey.expand(-1, 3, -1, -1) - mean) / std), module(grey)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5 * float(wanted.abs().max()))
    assert "all 3 see the same image" in origin(module).notes[0]
    save(module, tmp_path / "kept", describe(recipe, 1000, image_inputs(1, SIZE, SIZE)))
    with torch.no_grad():
        assert torch.equal(load(tmp_path / "kept")(grey), found)


@pytest.mark.parametrize("trained", MODELS[-2:], indirect=True, ids=["function", "resnet_cifar"])
def test_without_a_normalization_and_with_one_for_all_channels(
    trained: tuple[dict[str, Any], nn.Module],
) -> None:
    values, original = trained
    grey = torch.rand(2, 1, SIZE, SIZE)
    for given, shift in (({}, 0.0), ({"mean": [0.5], "std": [1.0]}, 0.5)):
        module = build(model(**values, **given), 1000, image_inputs(1, SIZE, SIZE)).eval()
        with torch.no_grad():
            wanted = original((grey - shift).expand(-1, 3, -1, -1))
            torch.testing.assert_close(module(grey), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("family", ["torchvision", "timm"])
def test_the_libraries_own_weights_keep_their_channels(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import timm
    import torchvision.models as zoo

    torch.manual_seed(3)
    original = (zoo if family == "torchvision" else timm.models).resnet18().eval()
    state = original.state_dict()

    def downloaded(name: str, weights: Any = None, pretrained: bool = False, **rest: Any) -> Any:
        made = zoo.resnet18() if family == "torchvision" else create(name, **rest)
        if weights or pretrained:
            made.load_state_dict(state)
        return made

    create = timm.create_model
    monkeypatch.setattr(zoo, "get_model", downloaded)
    monkeypatch.setattr(timm, "create_model", downloaded)
    recipe = model(family=family, name="resnet18", pretrained=True)
    module = build(recipe, 1000, image_inputs(1, SIZE, SIZE)).eval()
    assert isinstance(module, Spread)
    assert module.std.flatten().tolist() == pytest.approx(IMAGENET[1])
    grey = torch.rand(2, 1, SIZE, SIZE)
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in IMAGENET)
    with torch.no_grad():
        wanted = original((grey.expand(-1, 3, -1, -1) - mean) / std)
        torch.testing.assert_close(module(grey), wanted, rtol=1e-5, atol=1e-5)


def test_what_is_spread_is_not_trained_and_survives_folding() -> None:
    from edgedistill.compress.fold import fold
    from edgedistill.program import graph_of

    inner = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Flatten(),
                          nn.Linear(4 * 64, 2))  # fmt: skip
    module = Spread(inner, *IMAGENET).eval()
    assert not any(name.startswith("spread") for name, _ in module.named_parameters())
    grey = torch.rand(2, 1, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(
            graph_of(fold(module, image_inputs(1, 8, 8)))(grey), module(grey)
        )


def test_a_model_that_starts_from_nothing_reads_grey_images_itself() -> None:
    module = build(
        model(family="torchvision", name="squeezenet1_1"), 4, image_inputs(1, SIZE, SIZE)
    )
    assert module.features[0].weight.shape[1] == 1  # type: ignore[union-attr,index]
    assert origin(module).notes == ()


def test_weights_of_one_channel_under_colour_are_told_apart(tmp_path: Path) -> None:
    values = {"family": "torchvision", "name": "squeezenet1_1"}
    grey = build(model(**values), 4, image_inputs(1, SIZE, SIZE)).state_dict()
    save_file(grey, tmp_path / "grey.safetensors")
    recipe = model(**values, weights=tmp_path / "grey.safetensors")
    assert origin(build(recipe, 4, image_inputs(1, SIZE, SIZE))).notes == ()
    with pytest.raises(UserError) as caught:
        build(recipe, 4, image_inputs(3, SIZE, SIZE))
    assert caught.value.hint == (
        "the names fit; the weights' first layer, `features.0.weight`, takes 1 channel(s), the "
        "model's 3: check `data.channels`"
    )


# --- other classes ----------------------------------------------------------------------------


def test_the_body_is_kept_where_the_classes_differ(
    trained: tuple[dict[str, Any], nn.Module],
) -> None:
    values, original = trained
    module = build(model(**values), CLASSES, image_inputs(3, SIZE, SIZE)).eval()
    theirs = original.state_dict()
    kept = [name for name, own in module.state_dict().items() if torch.equal(own, theirs[name])]
    left = set(theirs) - set(kept)
    assert len({name.rpartition(".")[0] for name in left}) == 1
    assert all(theirs[name].shape[0] == 1000 for name in left)
    told = origin(module)
    assert told == preview(model(**values), CLASSES, image_inputs(3, SIZE, SIZE))
    assert told.new_head
    assert "answers with 1000 values, 5 are wanted: the body is kept" in told.notes[0]
    with pytest.raises(UserError, match="would answer by chance") as caught:
        check_knows(model(**values), CLASSES, image_inputs(3, SIZE, SIZE))
    assert "`stages.teacher.train`" in caught.value.hint
    check_knows(model(**values), 1000, image_inputs(3, SIZE, SIZE))


def test_a_file_without_its_output_layer_is_a_body(tmp_path: Path) -> None:
    values = {"family": "torchvision", "name": "squeezenet1_1"}
    state = build(model(**values), 9, image_inputs(3, SIZE, SIZE)).state_dict()
    body = {name: tensor for name, tensor in state.items() if not name.startswith("classifier.1.")}
    save_file(body, tmp_path / "body.safetensors")
    told = preview(
        model(**values, weights=tmp_path / "body.safetensors"), 9, image_inputs(3, SIZE, SIZE)
    )
    assert told.new_head
    assert told.notes[0].endswith(
        "has no output layer, 9 are wanted: the body is kept, `classifier.1` is new"
    )


@pytest.mark.parametrize("look", [build, preview])
def test_what_does_not_fit_beside_the_head_is_an_error(look: Any, tmp_path: Path) -> None:
    values = {"family": "torchvision", "name": "squeezenet1_1"}
    state = dict(build(model(**values), 1000, image_inputs(3, SIZE, SIZE)).state_dict())
    state["features.3.squeeze.weight"] = torch.zeros(8, 64, 1, 1)
    save_file(state, tmp_path / "odd.safetensors")
    with pytest.raises(UserError) as caught:
        look(
            model(**values, weights=tmp_path / "odd.safetensors"),
            CLASSES,
            image_inputs(3, SIZE, SIZE),
        )
    assert caught.value.message.splitlines()[1:] == [
        "  shape: features.3.squeeze.weight is [8, 64, 1, 1], the model's is [16, 64, 1, 1]"
    ]
    assert caught.value.hint.startswith("the names fit, and another number of classes is allowed")


def test_a_prefix_is_named_whatever_the_head(tmp_path: Path) -> None:
    values = {"family": "torchvision", "name": "squeezenet1_1"}
    state = build(model(**values), 1000, image_inputs(3, SIZE, SIZE)).state_dict()
    path = tmp_path / "prefixed.safetensors"
    save_file({f"module.{name}": tensor for name, tensor in state.items()}, path)
    with pytest.raises(UserError, match="does not fit") as caught:
        preview(model(**values, weights=path), CLASSES, image_inputs(3, SIZE, SIZE))
    assert "every name in the file begins with `module.`" in caught.value.hint


def test_weights_replace_the_libraries_own_which_are_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torchvision.models as zoo

    values = {"family": "torchvision", "name": "squeezenet1_1"}
    save_file(
        dict(build(model(**values), 4, image_inputs(3, SIZE, SIZE)).state_dict()),
        tmp_path / "w.safetensors",
    )
    make = zoo.get_model

    def get_model(name: str, weights: Any = None, **rest: Any) -> Any:
        assert weights is None, "downloaded"
        return make(name, **rest)

    monkeypatch.setattr(zoo, "get_model", get_model)
    recipe = model(**values, pretrained=True, weights=tmp_path / "w.safetensors")
    module: Any = build(recipe, 4, image_inputs(3, SIZE, SIZE))
    assert module.mean.flatten().tolist() == pytest.approx(IMAGENET[0])
