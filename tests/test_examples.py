"""Every example is a recipe that loads, and its own models build."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgedistill.recipe import load_recipe

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_loads(path: Path) -> None:
    assert load_recipe(path).name


def test_the_embedded_default_is_the_digits_example() -> None:
    from edgedistill.api import default_recipe, read_recipe

    assert default_recipe() in EXAMPLES
    recipe = read_recipe(None)
    assert (recipe.name, recipe.data.source) == ("digits", "digits")
    assert recipe.teacher.weights is None
    assert recipe.stages.prune is not None
    assert recipe.stages.quantize is not None


def test_the_own_model_example_builds_and_prunes() -> None:
    import torch

    from edgedistill.models import build, count
    from edgedistill.models.pruned import dependency_graph

    path = Path(__file__).parents[1] / "examples" / "own_model.yaml"
    module = build(load_recipe(path).student, 10, 1, 16)
    macs, parameters = count(module, 1, 16)
    assert macs < 1
    assert parameters < 3
    assert dependency_graph(module, torch.zeros(1, 1, 16, 16)) is not None
