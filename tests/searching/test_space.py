from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgedistill.api import default_recipe
from edgedistill.errors import UserError
from edgedistill.recipe import Recipe, load_recipe, of_labels, parse_recipe
from edgedistill.searching.space import changed, parse_vary, usual
from edgedistill.target import load_target

RECIPE = of_labels(load_recipe(default_recipe()))
TARGET = load_target("android-arm64")


def test_choices_and_bounds_hold_the_recipes_own_value() -> None:
    depth = parse_vary("student.depth=14,20", RECIPE)
    assert (depth.own, depth.choices, depth.bounds) == (8, (8, 14, 20), None)
    widths = parse_vary("student.widths=[8, 8, 8], [8, 16, 32]", RECIPE)
    assert widths.choices == ([8, 8, 8], [8, 16, 32])
    rate = parse_vary("stages.distill.learning_rate=0.2..0.4", RECIPE)
    assert (rate.own, rate.bounds) == (0.1, (0.1, 0.4))


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("student.depth", "not of the form key=values", "e.g. --vary"),
        ("student.depht=8,14", "there is no `depht` in student", "did you mean `depth`?"),
        ("student.depth=8", "one value leaves nothing to choose", "e.g. --vary"),
        ("stages.distill.losses.7.weight=1..2", "there is no `7` in stages.distill.losses",
         "`stages.distill.losses` is a list of 2; count from 0"),
        ("seed=3..1", "bounds are a lower and a higher number", "e.g. --vary"),
        ("student.shortcut=1..2", "the recipe's own value is \"conv\"", "give it one with"),
    ],
)  # fmt: skip
def test_what_cannot_be_varied_is_told(text: str, message: str, hint: str) -> None:
    with pytest.raises(UserError) as error:
        parse_vary(text, RECIPE)
    assert message in error.value.message
    assert hint in (error.value.hint or "")


def test_losses_that_were_left_out_are_written_in_full() -> None:
    document = changed(RECIPE, {"stages.distill.losses.0.temperature": 2.5, "student.depth": 14})
    made = of_labels(parse_recipe(document, "changed"))
    first, second = made.stages.distill.losses
    assert (getattr(first, "temperature", None), first.weight, second.weight) == (2.5, 0.9, 0.1)
    assert getattr(made.student, "depth", None) == 14
    assert made.stages.teacher == RECIPE.stages.teacher


def test_what_is_usual_is_what_the_recipe_has() -> None:
    found = {each.key: each for each in usual(RECIPE, TARGET)}
    assert list(found) == [
        "student.depth", "student.widths", "stages.prune.speedup", "stages.prune.learning_rate",
        "stages.distill.learning_rate", "stages.distill.losses.0.temperature",
        "stages.distill.losses.1.weight",
    ]  # fmt: skip
    assert found["student.depth"].choices == (8, 14)
    assert found["stages.prune.speedup"].bounds == (1.1, 3.0)


def test_a_student_of_blocks_is_varied_group_by_group() -> None:
    document = changed(RECIPE, {"student.depth": None, "student.blocks": [0, 2, 1]})
    found = {each.key: each for each in usual(Recipe.model_validate(document), TARGET)}
    assert [key for key in found if key.startswith("student.")] == [
        "student.blocks", "student.widths",
    ]  # fmt: skip
    choices = found["student.blocks"].choices or ()
    assert {(0, 2, 1), (0, 1, 2), (1, 2, 1), (0, 2, 2)} <= {tuple(each) for each in choices}
    assert (1, 3, 2) not in {tuple(each) for each in choices}
    assert min(min(each) for each in choices) == 0


@pytest.mark.parametrize(
    "path", sorted(default_recipe().parent.glob("*.yaml")), ids=lambda p: p.stem
)
def test_every_example_is_still_itself_with_its_own_values(path: Path) -> None:
    recipe: Any = load_recipe(path)
    if recipe.__class__ is not RECIPE.__class__:
        return
    varied = usual(recipe, TARGET)
    made = parse_recipe(changed(recipe, {each.key: each.own for each in varied}), path.name)
    assert made == recipe
