"""Every family builds, saves, reloads strictly."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from edgedistill.errors import UserError
from edgedistill.models import accelerated, build, count, describe, fingerprint, load, save
from edgedistill.models.pruned import fixed_width, steps
from edgedistill.recipe import Model
from edgedistill.signature import image_inputs

SIZE, CLASSES = 32, 4
FUNCTION = """
from torch import nn

def small(classes, width=4):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))

def number(classes):
    return classes

def helpless(size):
    return None
"""
FAMILIES: list[dict[str, Any]] = [
    {"family": "resnet_cifar", "depth": 8, "widths": [4, 8, 8]},
    {"family": "resnet_cifar", "depth": 8, "widths": [4, 8, 8], "shortcut": "conv"},
    {"family": "resnet_cifar", "depth": 8, "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.3]},
    {"family": "resnet_cifar", "blocks": [0, 2, 1], "widths": [4, 8, 8], "shortcut": "none"},
    {"family": "torchvision", "name": "mobilenet_v3_small"},
    {"family": "torchvision", "name": "squeezenet1_1"},
    {"family": "torchvision", "name": "mnasnet0_5"},
    {"family": "timm", "name": "mobilenetv3_small_050"},
    {"family": "function", "function": "my_nets:small", "args": {"width": 6}},
]


def model(**values: Any) -> Model:
    parsed: Model = TypeAdapter(Model).validate_python(values)
    return parsed


@pytest.fixture(autouse=True)
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_nets.py").write_text(FUNCTION)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_nets", raising=False)
    torch.manual_seed(0)


@pytest.mark.parametrize("values", FAMILIES, ids=lambda v: v.get("name", v["family"]))
def test_every_family_builds_saves_and_reloads_strictly(
    values: dict[str, Any], tmp_path: Path
) -> None:
    recipe = model(**values)
    module = build(recipe, CLASSES, image_inputs(3, SIZE, SIZE)).eval()
    save(module, tmp_path / "model", describe(recipe, CLASSES, image_inputs(3, SIZE, SIZE)))
    again = load(tmp_path / "model")
    pixels = torch.rand(2, 3, SIZE, SIZE)
    with torch.no_grad():
        assert torch.equal(module(pixels), again(pixels))
    assert not again.training
    assert {p.name for p in (tmp_path / "model").iterdir()} == {"model.json", "weights.safetensors"}


def test_tensor_names_of_resnet_cifar_are_the_published_ones() -> None:
    names = set(
        build(model(family="resnet_cifar", depth=8), 10, image_inputs(3, SIZE, SIZE)).state_dict()
    )
    assert {"conv1.weight", "bn1.weight", "layer3.0.conv2.weight", "linear.bias"} <= names
    assert len([name for name in names if not name.endswith("num_batches_tracked")]) == 37


def test_pad_shortcut_puts_half_of_the_zeros_before() -> None:
    from edgedistill.models.resnet_cifar import PadShortcut

    out = PadShortcut(2, 5, 2)(torch.ones(1, 2, 4, 4))
    assert out.shape == (1, 5, 2, 2)
    assert out[0, :, 0, 0].tolist() == [0, 1, 1, 0, 0]


def test_normalization_is_inside_the_model() -> None:
    values = {"family": "resnet_cifar", "depth": 8}
    torch.manual_seed(1)
    plain = build(model(**values), CLASSES, image_inputs(1, SIZE, SIZE)).eval()
    torch.manual_seed(1)
    inside = build(
        model(**values, mean=[0.5], std=[0.25]), CLASSES, image_inputs(1, SIZE, SIZE)
    ).eval()
    pixels = torch.rand(2, 1, SIZE, SIZE)
    with torch.no_grad():
        assert torch.equal(inside(pixels), plain((pixels - 0.5) / 0.25))


def test_count_of_a_resnet_56_is_the_published_one() -> None:
    macs, parameters = count(
        build(model(family="resnet_cifar", depth=56), 10, image_inputs(3, 32, 32)),
        image_inputs(3, 32, 32),
    )
    assert macs == pytest.approx(125.49, abs=0.01)
    assert parameters == pytest.approx(853.0, abs=0.1)


def test_blocks_are_counted_by_group() -> None:
    module: Any = build(
        model(family="resnet_cifar", blocks=[0, 2, 1]), CLASSES, image_inputs(3, SIZE, SIZE)
    )
    assert [len(group) for group in (module.layer1, module.layer2, module.layer3)] == [0, 2, 1]
    assert module.layer2(module.layer1(torch.zeros(1, 16, 8, 8))).shape == (1, 32, 4, 4)
    assert model(family="resnet_cifar").groups == (3, 3, 3)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_torchvision_takes_grey_images(name: str) -> None:
    module = build(
        model(family="torchvision", name=name), CLASSES, image_inputs(1, SIZE, SIZE)
    ).eval()
    assert module(torch.zeros(1, 1, SIZE, SIZE)).shape == (1, CLASSES)


@pytest.mark.parametrize("values", FAMILIES[:5])
def test_a_pruned_model_is_rebuilt_from_its_recorded_steps(
    values: dict[str, Any], tmp_path: Path
) -> None:
    import torch_pruning

    recipe = model(**values)
    module = build(recipe, CLASSES, image_inputs(3, SIZE, SIZE)).eval()
    before = count(module, image_inputs(3, SIZE, SIZE))
    pruner = torch_pruning.pruner.MagnitudePruner(
        module,
        torch.zeros(1, 3, SIZE, SIZE),
        importance=torch_pruning.importance.MagnitudeImportance(),
        pruning_ratio=0.5,
        ignored_layers=[*fixed_width(module), _last_linear(module)],
    )
    pruner.step()
    recorded = steps(pruner.pruning_history())
    assert recorded
    save(
        module, tmp_path / "model", describe(recipe, CLASSES, image_inputs(3, SIZE, SIZE), recorded)
    )
    again = load(tmp_path / "model")
    assert (
        count(again, image_inputs(3, SIZE, SIZE))
        == count(module, image_inputs(3, SIZE, SIZE))
        < before
    )
    pixels = torch.rand(2, 3, SIZE, SIZE)
    with torch.no_grad():
        assert torch.equal(module(pixels), again(pixels))


def _last_linear(module: nn.Module) -> nn.Module:
    return [m for m in module.modules() if isinstance(m, nn.Linear)][-1]


def test_padding_shortcuts_name_the_layers_that_must_keep_their_width() -> None:
    pad = build(model(**FAMILIES[0]), CLASSES, image_inputs(3, SIZE, SIZE))
    assert len(fixed_width(pad)) == 4
    assert fixed_width(build(model(**FAMILIES[1]), CLASSES, image_inputs(3, SIZE, SIZE))) == []


def test_fingerprint_follows_the_weights_and_the_users_source(tmp_path: Path) -> None:
    recipe = model(**FAMILIES[-1])
    before = fingerprint(recipe)
    assert fingerprint(recipe) == before
    (tmp_path / "my_nets.py").write_text(FUNCTION + "\n# explained\n")
    assert fingerprint(recipe) == before
    (tmp_path / "my_nets.py").write_text(FUNCTION + "\nCHANGED = True\n")
    assert fingerprint(recipe) != before


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"family": "torchvision", "name": "resnet19"},
            "torchvision has no model `resnet19`\nhint: did you mean `resnet18`?",
        ),
        (
            {"family": "function", "function": "my_nets:smal"},
            "function: `my_nets` has no function `smal`\nhint: did you mean `small`?",
        ),
        (
            {"family": "function", "function": "no_such_module_here:f"},
            "function: no module `no_such_module_here` (from `no_such_module_here:f`)\n"
            "hint: put the file beside the recipe or into the current folder, or install its "
            "package",
        ),
        (
            {"family": "function", "function": "my_nets:number"},
            "function: `my_nets:number` gave a int, not a torch module\n"
            "hint: return a torch.nn.Module",
        ),
        (
            {"family": "function", "function": "my_nets:helpless"},
            "function: `my_nets:helpless` could not be called: helpless() got an unexpected "
            "keyword argument 'classes'\nhint: it is called with `classes=` and the recipe's "
            "`args`",
        ),
        (
            {"family": "resnet_cifar", "depth": 8, "mean": [0.5], "std": [0.5]},
            "`mean` has 1 and `std` 1 values, the images 3 channel(s)\n"
            "hint: give one value for each channel",
        ),
    ],
)
def test_a_model_that_cannot_be_built_says_why(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        build(model(**values), CLASSES, image_inputs(3, SIZE, SIZE))
    assert str(error.value) == message


def test_images_too_small_for_a_model_are_said() -> None:
    with pytest.raises(UserError, match=r"model `alexnet` cannot take 3x16x16 images"):
        build(model(family="torchvision", name="alexnet"), CLASSES, image_inputs(3, 16, 16))


def test_a_model_with_other_classes_is_said() -> None:
    def ten(classes: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 10))

    import my_nets  # type: ignore[import-not-found]

    my_nets.ten = ten
    with pytest.raises(UserError) as error:
        build(model(family="function", function="my_nets:ten"), CLASSES, image_inputs(3, 8, 8))
    assert error.value.message == (
        "model `my_nets:ten` gives (1, 10) for one 3x8x8 image, expected logits (1, 4)"
    )


def test_a_head_that_fits_already_is_kept() -> None:
    from edgedistill.models import torchvision

    layer = torch.nn.Linear(4, 10)
    holder = torch.nn.Sequential(layer)
    torchvision._fit_head(holder, "0", 10)
    assert holder[0] is layer
    torchvision._fit_head(holder, "0", 3)
    assert holder[0].out_features == 3


def test_what_pretrained_weights_do_to_the_pixels_is_in_the_normalization(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torchvision.models as zoo

    def downloaded(name: str, weights: str | None, **_: object) -> nn.Module:
        module: nn.Module = getattr(zoo, name)(
            transform_input=weights is not None, aux_logits=False, init_weights=False
        )
        return module

    given = downloaded("googlenet", "DEFAULT").eval()
    monkeypatch.setattr(zoo, "get_model", downloaded)
    built = build(
        model(family="torchvision", name="googlenet", pretrained=True),
        1000,
        image_inputs(3, SIZE, SIZE),
    ).eval()
    inner = dict(built.named_children())["model"]
    inner.load_state_dict(given.state_dict())
    pixels = torch.rand(2, 3, SIZE, SIZE)
    mean, std = (torch.tensor(v).reshape(3, 1, 1) for v in ((0.485, 0.456, 0.406),
                                                           (0.229, 0.224, 0.225)))  # fmt: skip
    with torch.no_grad():
        assert torch.allclose(built(pixels), given((pixels - mean) / std), atol=1e-4)


@pytest.mark.parametrize(("there", "lies"), [(None, "cpu"), (torch.device("meta"), "meta")])
def test_a_model_goes_where_training_goes(
    there: torch.device | None, lies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        torch.accelerator, "current_accelerator", lambda check_available=False: there
    )
    moved = accelerated(nn.Linear(2, 3))
    assert {each.device.type for each in moved.parameters()} == {lies}
