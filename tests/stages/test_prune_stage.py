from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from prices import Steps

from edgedistill.compress.cost import BYTES, MACS, PARAMS, measure, priced
from edgedistill.costs import PriceSource
from edgedistill.errors import UserError
from edgedistill.models import build
from edgedistill.models.steps import works
from edgedistill.plan import steps
from edgedistill.recipe import PruneConfig, ResidualModel, load_recipe
from edgedistill.signature import image_inputs
from edgedistill.stages import prune
from edgedistill.target import Target, load_target

PHONE = load_target("android-arm64")
EXAMPLE = torch.zeros(1, 3, 16, 16)


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Steps:
    found = Steps(each=1_000.0)
    source = PriceSource(device="a", numbers="int8", kernel=None, threads=1, digest="d")
    monkeypatch.setattr(PriceSource, "of", lambda *_: source)
    monkeypatch.setattr(PriceSource, "open", lambda *_: found)
    return found


def config(target: Target = PHONE, /, **settings: Any) -> prune.Config:
    digits = Path(__file__).parents[2] / "examples" / "digits.yaml"
    recipe = load_recipe(digits, [f"stages.prune={settings}"])
    (found,) = (step.config for step in steps(recipe, target) if step.name == "prune")
    assert isinstance(found, prune.Config)
    return found


def student() -> torch.nn.Module:
    torch.manual_seed(0)
    model = ResidualModel.model_validate(
        {"family": "resnet_cifar", "depth": 8, "widths": (32, 48, 64)}
    )
    return build(model, 10, image_inputs(3, 16, 16))


def test_a_goal_in_the_devices_cost_is_reached_as_its_list_counts(
    listed: Steps, tmp_path: Path
) -> None:
    model, price = student(), priced(listed)
    before = measure(model, EXAMPLE, [price])[price]
    wanted = config(cost=0.6 * before / 1e6)
    listed.learnt.clear()
    prune.rehearse(wanted, model, EXAMPLE, tmp_path, print)
    after = measure(model, EXAMPLE, [price])[price]
    assert 1_000 * len(works(model, EXAMPLE)) < after <= 0.6 * before
    assert wanted.prices is not None and not listed.asked_late


def test_a_goal_in_the_size_of_weights_is_reached() -> None:
    model = student()
    prune.rehearse(config(weights_kb=60, round_to=8), model, EXAMPLE, Path(), print)
    held = sum(each.numel() * (1 if each.dim() > 1 else 4) for each in model.parameters())
    assert measure(model, EXAMPLE, [BYTES])[BYTES] == held <= 60_000


def test_a_device_without_prices_is_told_before_anything_is_trained() -> None:
    deviceless = PHONE.model_copy(update={"device": None})
    for key, settings in {
        "cost": {"cost": 1.0},
        "if_costlier": {"macs": 1.0, "if_costlier": "undo"},
    }.items():
        with pytest.raises(
            UserError,
            match=f"stages.prune.{key}: the target android-arm64 names no device, and there is no "
            "price list of it for litert",
        ):
            config(deviceless, **settings)


def test_a_student_that_costs_more_for_fewer_channels_is_undone_or_fails() -> None:
    price = priced(Steps(tail=1.5))
    before, after = {price: 2.0e6}, {price: 2.5e6}
    figures = {"macs": MACS, "params": PARAMS, "cost": price}
    asked = PruneConfig(macs=1.0, if_costlier="undo")
    reason = "it costs 2.5 M instructions on the target's device, and before 2 M instructions"
    assert prune._costlier(asked, figures, before, after) == reason
    assert prune._costlier(asked, figures, before, before) == ""
    assert prune._costlier(PruneConfig(macs=1.0), figures, before, after) == ""
    with pytest.raises(UserError, match=r"no cheaper for it: it costs 2\.5 M instructions"):
        prune._costlier(asked.model_copy(update={"if_costlier": "fail"}), figures, before, after)


def test_rounds_come_down_to_every_goal_at_equal_ratios() -> None:
    settings = PruneConfig(macs=2.0, speedup=8.0, params=400, rounds=3)
    goals = prune._goals(settings, {"macs": MACS, "params": PARAMS}, {MACS: 8e6, PARAMS: 200e3})
    assert [goal[MACS] for goal in goals] == pytest.approx([4e6, 2e6, 1e6])
    assert [goal[PARAMS] for goal in goals] == [200e3] * 3
