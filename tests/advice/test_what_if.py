"""What a student costs, and what others like it would, against those others as they are built."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from made import data_record
from prices import Steps

from edgedistill.advice.what_if import Basis, WhatIf, what_if
from edgedistill.models import build, describe, save
from edgedistill.models.steps import works
from edgedistill.models.work import padded_macs, products
from edgedistill.recipe import parse_recipe
from edgedistill.target import load_target

TARGET = load_target("android-arm64")
SIZE = 16


def asked(folder: Path, prices: Any = None, **student: Any) -> WhatIf:
    """Of an untrained student for images of 16 pixels."""
    recipe = parse_recipe(
        {
            "name": "tiny",
            "data": {"source": "digits", "image_size": SIZE},
            "teacher": {"family": "resnet_cifar", "depth": 8},
            "student": {"family": "resnet_cifar", "depth": 8, "shortcut": "conv", **student},
            "stages": {"teacher": {"train": {}}},
        },
        "recipe",
    )
    data = data_record("abc", SIZE, 1)
    save(build(recipe.student, 3, data.inputs), folder / "model",
         describe(recipe.student, 3, data.inputs))  # fmt: skip
    basis = Basis.of(TARGET, True, prices, "nobody was asked")
    return what_if(recipe, TARGET, folder / "model", data, True, basis)


def padded(size: int = SIZE, **student: Any) -> int:
    """Of such a student, built and counted."""
    from edgedistill.families.models import ResidualModel

    fields = {"family": "resnet_cifar", "depth": 8, "shortcut": "conv", **student}
    net = build(ResidualModel.model_validate(fields), 3, data_record("abc", SIZE, 1).inputs)
    assert TARGET.kernel is not None
    return padded_macs(products(net, torch.zeros(1, 1, size, size)), TARGET.kernel)


def widths(found: WhatIf) -> Mapping[int, Any]:
    return {each.channels: each for each in found.widths}


def test_other_widths_and_sizes_cost_what_such_students_do(tmp_path: Path) -> None:
    now = (18, 24, 32)
    found = asked(tmp_path, widths=now)
    assert found.unit == "padded MACs" and found.basis.count("nobody was asked") == 1
    assert found.cost == found.uncut == padded(widths=now)
    assert sum(each.cost for each in found.operators) == found.cost
    assert found.image_sizes[12, 12] == padded(12, widths=now)
    assert found.students == {"student.widths=[32, 40, 48]": padded(widths=(32, 40, 48))}
    by_layer = {each.layer: each for each in found.widths}
    stem = by_layer["conv1"]
    assert (stem.channels, stem.lower.channels, stem.higher.channels) == (18, 16, 32)  # type: ignore[union-attr]
    assert stem.sparse


def test_all_nearly_empty_blocks_at_once(tmp_path: Path) -> None:
    """18 channels are everywhere in the first group: inside its block, and around it."""
    found = asked(tmp_path, widths=(18, 32, 64))
    assert {each.channels for each in found.widths} == {18}
    assert found.narrowed == padded(widths=(16, 32, 64))
    assert found.narrowed < found.cost


def test_whole_blocks_have_no_other_width(tmp_path: Path) -> None:
    found = asked(tmp_path, widths=(16, 32, 64))
    assert not found.widths and found.narrowed is None and not found.in_blocks


def test_prices_are_asked_at_once_for_all(tmp_path: Path) -> None:
    prices = Steps(each=3.0)
    found = asked(tmp_path, prices, widths=(18, 32, 64))
    assert not prices.asked_late
    assert found.unit == "instructions"
    net = build_of((18, 32, 64))
    every = works(net, torch.zeros(1, 1, SIZE, SIZE))
    assert found.cost == pytest.approx(sum(map(prices.of, every)) + 3 * len(every))


def build_of(sides: tuple[int, int, int]) -> torch.nn.Module:
    from edgedistill.families.models import ResidualModel

    model = ResidualModel(family="resnet_cifar", depth=8, shortcut="conv", widths=sides)
    return build(model, 3, data_record("abc", SIZE, 1).inputs)


@pytest.mark.parametrize("shortcut", ["pad", "conv"])
def test_layers_that_nothing_can_be_cut_from_are_let_be(tmp_path: Path, shortcut: str) -> None:
    """A shortcut that pads ties the channels around it."""
    found = asked(tmp_path, widths=(18, 32, 64), shortcut=shortcut)
    steps = tuple(padded(widths=(18, 32, 64), shortcut=each) for each in ("conv", "pad"))
    assert found.shortcuts == (steps[0] - steps[1] if shortcut == "pad" else None)
    named = {each.layer for each in found.widths}
    assert "layer1.0.conv1" in named
    assert ("conv1" in named) is (shortcut == "conv")
