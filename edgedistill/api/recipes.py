"""A recipe, whichever way it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgedistill.families.endpoint import WHOLE
from edgedistill.recipe import AnyRecipe, load_recipe, parse_recipe


def default_recipe() -> Path:
    """The recipe that needs no download: scikit-learn's digits."""
    here = Path(__file__).parents[1]
    folder = here / "examples" if (here / "examples").is_dir() else here.parent / "examples"
    return folder / "digits.yaml"


def read_recipe(
    recipe: str | Path | Mapping[str, Any] | AnyRecipe | None, set: Sequence[str] = ()
) -> AnyRecipe:
    """A recipe from a path, a mapping, or None for the embedded digits; `set` holds overrides such
    as `stages.distill.epochs=3`. Raises UserError that lists every mistake."""
    if isinstance(recipe, AnyRecipe):
        # What was left out stays so: of speech, a column that is named has to be there.
        whole = recipe.model_dump(mode="json", context=WHOLE, exclude_unset=True)
        return parse_recipe(whole, "recipe", set) if set else recipe
    if isinstance(recipe, Mapping):
        return parse_recipe(dict(recipe), "recipe", set)
    return load_recipe(Path(recipe) if recipe is not None else default_recipe(), set)
