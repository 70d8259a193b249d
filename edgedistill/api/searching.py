"""A recipe tried with other values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.api.compiling import compile
from edgedistill.api.recipes import read_recipe
from edgedistill.bundle import Bundle
from edgedistill.cache import Cache, default_root
from edgedistill.errors import UserError
from edgedistill.progress import Log
from edgedistill.recipe import Recipe, of_labels
from edgedistill.records import StudyRecord
from edgedistill.target import Target, load_target

if TYPE_CHECKING:
    from edgedistill.costs import Prices
    from edgedistill.progress import Reporter


@dataclass(frozen=True)
class Searched:
    """What `search` found."""

    path: Path
    """Its folder, with search.json, search.html and recipe.yaml."""
    record: StudyRecord
    bundle: Bundle | None
    """The best, compiled in full, in `path / "best"`; None where that was not wanted."""


def search(
    recipe: str | Path | Mapping[str, Any] | Recipe | None = None,
    target: str | Target = "android-arm64",
    budget: str = "30m",
    vary: Sequence[str] = (),
    out: str | Path | None = None,
    compile_best: bool = True,
    set: Sequence[str] = (),
    cache: str | Path | None = None,
    reporter: Reporter | None = None,
) -> Searched:
    """Try a recipe with other values, short trials first, for as long as `budget` (`30m`) says;
    then compile what is best on validation and costs no more than the contract allows. Cost is the
    device's own where the target's is there, else multiply-accumulates. An interrupted search goes
    on where it is called again.

    vary: `student.depth=8,14,20` or `stages.distill.learning_rate=0.02..0.3`; none: what is usual
    for the recipe. out: by default `./RECIPE-TARGET-search`.

    Raises UserError: what is asked for cannot be done, or the recipe's own values fail.
    """
    from edgedistill.searching import RECIPE, Wanted, varied_in
    from edgedistill.searching import search as searched
    from edgedistill.searching.budget import parse_budget

    wanted = of_labels(read_recipe(recipe, set))
    named = load_target(target) if isinstance(target, str) else target
    folder = Path(out or f"{wanted.name}-{named.name}-search")
    varied, seconds = varied_in(wanted, named, vary), parse_budget(budget)
    reporter = reporter or Log()
    store = Cache(Path(cache) if cache else default_root(), reporter.say)
    prices = _prices(wanted, named, store.root, reporter)
    asked = Wanted(wanted, named, varied, seconds, folder, prices)
    record = searched(asked, store, reporter)
    bundle = None
    if compile_best:
        made = compile(folder / RECIPE, named, folder / "best", store.root, (), reporter)
        assert isinstance(made, Bundle), "one target gives one bundle"
        bundle = made
    return Searched(folder, record, bundle)


def _prices(recipe: Recipe, target: Target, cache: Path, reporter: Reporter) -> Prices | None:
    """What the target's device asks for operators; None where it is not there, which is said.
    Nobody asked for the device, so that nothing is started to look for it, such as adb's server."""
    from edgedistill.costs import PriceSource
    from edgedistill.devices import lacking
    from edgedistill.plan import numbers_of

    if target.device is not None and (wanting := lacking(target.device)):
        reporter.say(f"search: not by the device's cost: {wanting.told}")
        return None
    try:
        source = PriceSource.of(target, numbers_of(recipe, target))
        return source.open(cache, reporter.say)
    except UserError as error:
        reporter.say(f"search: not by the device's cost: {error.message}")
        return None
