"""A recipe compiled, and its teacher asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.api.recipes import read_recipe
from edgedistill.bundle import Bundle
from edgedistill.bundle.hand_over import hand_over
from edgedistill.bundle.write import check_place
from edgedistill.cache import Cache, default_root
from edgedistill.errors import UserError
from edgedistill.progress import Log
from edgedistill.recipe import AnyRecipe, Recipe, of_labels
from edgedistill.target import Target, check_names, load_target

if TYPE_CHECKING:
    from edgedistill.progress import Reporter


def compile(
    recipe: str | Path | Mapping[str, Any] | AnyRecipe | None = None,
    target: str | Target | Sequence[str | Target] = "android-arm64",
    out: str | Path | None = None,
    cache: str | Path | None = None,
    set: Sequence[str] = (),
    reporter: Reporter | None = None,
    device: str | None = None,
) -> Bundle | list[Bundle]:
    """Compile a recipe for a target into the bundle folder `out` (by default
    `./RECIPE-TARGET`); for several targets, one folder for each in `out`, and a list. Each is
    written when its target is done. `device`: where to measure the files too (`adb`, `ssh:HOST`,
    `browser`, ...), to hold the contract against; by default on the target's own if that is there.

    A contract that is missed does not raise: see `Bundle.ok`. Raises UserError: whatever the user
    can mend, before or while compiling.
    """
    from edgedistill.pipeline import run

    wanted = read_recipe(recipe, set)
    one = isinstance(target, str | Target)
    named = [target] if isinstance(target, str | Target) else target
    targets = [load_target(each) if isinstance(each, str) else each for each in named]
    check_names(targets)
    places = [_place(out, wanted, each, not one) for each in targets]
    for place in places:
        check_place(place)
    reporter = reporter or Log()
    store = Cache(Path(cache) if cache else default_root(), reporter.say)
    bundles = []
    for result, place in zip(run(wanted, targets, store, reporter, device), places, strict=True):
        bundles.append(hand_over(result, place))
        if not one:
            reporter.say(f"{result.target.name}: its bundle is in {place}")
    return bundles[0] if one else bundles


def _place(out: str | Path | None, recipe: AnyRecipe, target: Target, several: bool) -> Path:
    if out is None:
        return Path(f"{recipe.name}-{target.name}")
    return Path(out) / target.name if several else Path(out)


def teach(
    recipe: str | Path | Mapping[str, Any] | Recipe | None = None,
    export: str | Path | None = None,
    cache: str | Path | None = None,
    set: Sequence[str] = (),
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Ask a recipe's teacher for all answers that its student will learn from, and keep them in
    the cache; what is there already is not asked again. `export` writes them as parquet too.

    Returns the stage's metrics: answers, quality on the training images, seconds. Raises
    UserError: no loss of the recipe needs answers, or the teacher does not give them.
    """
    from edgedistill.distill.exchange import write_parquet
    from edgedistill.pipeline import run_until
    from edgedistill.plan import steps

    wanted = of_labels(read_recipe(recipe, set))
    target = load_target("android-arm64")
    if "teach" not in [step.name for step in steps(wanted, target)]:
        raise UserError(
            "no loss of this recipe learns from the teacher's answers",
            "give one, e.g. {kind: soft_targets}",
        )
    if export is not None and not Path(export).absolute().parent.is_dir():
        raise UserError(f"{export}: its folder is not there", "make it, or name another file")
    reporter = reporter or Log()
    store = Cache(Path(cache) if cache else default_root(), reporter.say)
    done = run_until(wanted, target, store, reporter, "teach")
    if export is not None:
        write_parquet(done["teach"], done["data"], Path(export))
    return dict(done["teach"].metrics)
