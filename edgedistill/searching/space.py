"""What a search varies: values of the recipe, each by its key."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from edgedistill.document import cut, parse_value, with_value
from edgedistill.errors import UserError, nearest
from edgedistill.families.endpoint import WHOLE
from edgedistill.recipe import Recipe
from edgedistill.records import Varied
from edgedistill.target import Target

Document = dict[str, Any]

_HINT = "e.g. --vary student.depth=8,14,20 or --vary stages.distill.learning_rate=0.02..0.3"


def document_of(recipe: Recipe) -> Document:
    """A recipe as it was written: without what was left out."""
    found: Document = recipe.model_dump(mode="json", context=WHOLE, exclude_unset=True)
    return found


def changed(recipe: Recipe, values: dict[str, Any]) -> Document:
    """The recipe's document with these values, by key. Lists that were left out, as losses may be,
    are written in full where a value lies in one of them."""
    document, whole = document_of(recipe), recipe.model_dump(mode="json", context=WHOLE)
    for key, value in values.items():
        document = with_value(_with_lists(document, whole, key.split(".")), key, value)
    return document


def _with_lists(document: Any, whole: Any, keys: list[str]) -> Any:
    """With the first list on the way to a value, where it has been left out."""
    if len(keys) < 2 or not isinstance(whole, dict):
        return document
    first, rest = keys[0], keys[1:]
    inner, there = whole.get(first), dict(document or {})
    if isinstance(inner, list):
        return {**there, first: inner} if there.get(first) is None else there
    return {**there, first: _with_lists(there.get(first), inner, rest)}


def own_values(recipe: Recipe, varied: Sequence[Varied]) -> dict[str, Any]:
    """What the recipe says itself."""
    return {each.key: each.own for each in varied}


def parse_vary(text: str, recipe: Recipe) -> Varied:
    """`student.depth=8,14,20` or `stages.distill.learning_rate=0.02..0.3`; a choice is read as
    YAML, and may be a list.

    Raises UserError: another form, a key that the recipe does not have, or values of another kind.
    """
    key, equals, given = (part.strip() for part in text.partition("="))
    told = f"--vary {cut(text)}"
    if not equals or not key or not given:
        raise UserError(f"{told}: not of the form key=values", _HINT)
    own = _value_at(recipe.model_dump(mode="json", context=WHOLE), key, told)
    if ".." in given:
        return _between(key, own, given, told)
    choices = parse_value(f"[{given}]", told)
    if len(choices) < 2:
        raise UserError(f"{told}: one value leaves nothing to choose", _HINT)
    return _chosen(key, own, choices)


def _between(key: str, own: Any, given: str, told: str) -> Varied:
    bounds = [parse_value(part, told) for part in given.split("..")]
    if len(bounds) != 2 or not all(map(_is_number, bounds)) or not bounds[0] < bounds[1]:
        raise UserError(f"{told}: bounds are a lower and a higher number", _HINT)
    if not _is_number(own):
        raise UserError(
            f"{told}: the recipe's own value is {cut(json.dumps(own))}, no number to begin from",
            f"give it one with `--set {key}=...`, or list choices",
        )
    return _bounded(key, own, *bounds)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value_at(whole: Any, key: str, told: str) -> Any:
    here = whole
    for at, part in enumerate(key.split(".")):
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, list) and part.isdigit() and int(part) < len(here):
            here = here[int(part)]
        else:
            place = ".".join(key.split(".")[:at]) or "the recipe"
            if isinstance(here, dict):
                hint = nearest(cut(part), list(here))
            elif isinstance(here, list):
                hint = f"`{place}` is a list of {len(here)}; count from 0"
            else:
                hint = f"`{place}` is {cut(json.dumps(here))}: give the recipe its settings first"
            raise UserError(f"{told}: there is no `{cut(part)}` in {place}", hint)
    return here


def _bounded(key: str, own: Any, low: float, high: float) -> Varied:
    """With the recipe's own value within the bounds: it is the first that is tried."""
    return Varied(key=key, own=own, bounds=(float(min(low, own)), float(max(high, own))))


def _chosen(key: str, own: Any, choices: Sequence[Any]) -> Varied:
    """With the recipe's own value, which is the first that is tried, among the choices."""
    first = () if own in choices else (own,)
    found = [*first, *choices]
    return Varied(
        key=key, own=own,
        choices=tuple(each for at, each in enumerate(found) if each not in found[:at]),
    )  # fmt: skip


def suggested(trial: Any, varied: Varied) -> Any:
    """The value that Optuna's trial takes. Bounds above 0 are searched by ratio; whole numbers,
    where the recipe's own is one."""
    if varied.bounds is None:
        assert varied.choices is not None, "a value is varied in bounds or by choices"
        return json.loads(
            trial.suggest_categorical(varied.key, list(map(json.dumps, varied.choices)))
        )
    low, high = varied.bounds
    if isinstance(varied.own, int):
        return trial.suggest_int(varied.key, int(low), int(high), log=low > 0)
    return trial.suggest_float(varied.key, low, high, log=low > 0)


def as_parameters(varied: Sequence[Varied], values: dict[str, Any]) -> dict[str, Any]:
    """Values as Optuna knows them: choices as JSON, as they may be lists."""
    return {
        each.key: json.dumps(values[each.key]) if each.bounds is None else values[each.key]
        for each in varied
    }


def as_values(varied: Sequence[Varied], parameters: dict[str, Any]) -> dict[str, Any]:
    """And back."""
    return {
        each.key: json.loads(parameters[each.key]) if each.bounds is None else parameters[each.key]
        for each in varied
    }


# --- what is varied where nobody says what ----------------------------------------------------


def usual(recipe: Recipe, target: Target) -> list[Varied]:
    """By what the recipe has: the student's depth and width, where its family knows them and it
    does not begin from weights; the goals of pruning; learning rates; temperatures; and the weights
    of the losses against the first one's."""
    found = list(_shape(recipe.student, target.channel_multiple))
    if (prune := recipe.stages.prune) is not None:
        for goal in ("macs", "padded_macs", "params"):
            own = getattr(prune, goal)
            if own is not None:
                found.append(_bounded(f"stages.prune.{goal}", own, own / 2, own))
        if prune.speedup is not None:
            found.append(_bounded("stages.prune.speedup", prune.speedup, 1.1, 2 * prune.speedup))
        found.append(_around("stages.prune.learning_rate", prune.learning_rate))
    found.append(_around("stages.distill.learning_rate", recipe.stages.distill.learning_rate))
    for at, loss in enumerate(recipe.stages.distill.losses):
        place = f"stages.distill.losses.{at}"
        if hasattr(loss, "temperature"):
            found.append(_bounded(f"{place}.temperature", loss.temperature, 1.0, 10.0))
        if at and loss.weight > 0:
            found.append(_around(f"{place}.weight", loss.weight))
    return [each for each in found if each.choices is None or len(each.choices) > 1]


def _around(key: str, own: float) -> Varied:
    return _bounded(key, own, own / 3, own * 3)


def _shape(student: Any, multiple: int) -> Iterator[Varied]:
    if student.weights is None and student.family in _SHAPES:
        for name, around in _SHAPES[student.family].items():
            own = getattr(student, name)
            if own is None:  # as `depth`, where `blocks` says it
                continue
            own = list(own) if isinstance(own, tuple) else own
            yield _chosen(f"student.{name}", own, around(own, multiple))


def _stepped(step: int, least: int) -> Callable[[int, int], list[int]]:
    """One step less, the same, one more."""
    return lambda own, _: [each for each in (own - step, own, own + step) if each >= least]


_FACTORS = (0.5, 0.75, 1.0, 1.5)


def _wider(own: Any, multiple: int) -> list[Any]:
    """Half as wide to half as wide again, in the blocks that the target's kernels compute in."""

    def scaled(width: int, factor: float) -> int:
        return max(multiple, multiple * round(width * factor / multiple)) if factor != 1 else width

    if isinstance(own, list):
        return [[scaled(width, factor) for width in own] for factor in _FACTORS]
    return [scaled(own, factor) for factor in _FACTORS]


def _moved(own: Any, _: int) -> list[Any]:
    """A block less, the same or one more in each group, and one from a group to another. Images
    shrink from group to group: at equal work, a later group holds more layers and more weights."""
    steps = [step for step in itertools.product((-1, 0, 1), repeat=len(own)) if abs(sum(step)) < 2]
    shapes = ([each + by for each, by in zip(own, step, strict=True)] for step in steps)
    return [each for each in shapes if min(each) >= 0 and sum(each) > 0]


def _scales(own: float, _: int) -> list[float]:
    return [own * factor for factor in _FACTORS if own * factor >= 0.25]


_SHAPES: dict[str, dict[str, Callable[[Any, int], list[Any]]]] = {
    "resnet_cifar": {"depth": _stepped(6, 8), "blocks": _moved, "widths": _wider},
    "ds_cnn": {"width": _wider, "blocks": _stepped(1, 1)},
    "bc_resnet": {"scale": _scales},
}
"""What makes a family deeper or wider, and the choices about a value and the target's blocks."""
