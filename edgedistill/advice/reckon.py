"""Reckon with the student of a compile, by its device's prices where these are counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from edgedistill.advice.what_if import Basis, WhatIf, what_if
from edgedistill.artifact import Artifact
from edgedistill.costs import open_prices
from edgedistill.devices import Device
from edgedistill.errors import UserError, in_short, out_of_resources
from edgedistill.recipe import Recipe
from edgedistill.records import DataRecord, ExportRecord
from edgedistill.target import Target


def reckoned(
    recipe: Recipe,
    target: Target,
    artifacts: Mapping[str, Artifact],
    device: Device | None,
    cache: Path,
    say: Callable[[str], None],
) -> WhatIf | None:
    """Of the student that ships; None where it cannot be reckoned with, which is said: a compile
    does not fail for it. device: the target's, if it is there; cache: the cache's folder.

    A device that times operators takes long to tell of many: it is asked where the recipe has
    pruning ask it too.
    """
    try:
        return _reckoned(recipe, target, artifacts, device, cache, say)
    except Exception as error:  # what a user's own module, and libraries that trace it, may raise
        if out_of_resources(error) is not None:
            raise
        say(f"no advice on costs: {in_short(error)}")
        return None


def _reckoned(
    recipe: Recipe,
    target: Target,
    artifacts: Mapping[str, Artifact],
    device: Device | None,
    cache: Path,
    say: Callable[[str], None],
) -> WhatIf:
    shipped = ExportRecord.read(artifacts["export"]).smallest()
    int8 = shipped is not None and shipped.precision == "int8"
    student = artifacts.get("prune") or artifacts["distill"]
    data = DataRecord.read(artifacts["data"])

    def by(basis: Basis) -> WhatIf:
        return what_if(recipe, target, student.path / "model", data, int8, basis)

    why = _unpriced(recipe, target, device)
    if device is not None and not why:
        try:
            prices = open_prices(device, target, "int8" if int8 else "fp32", cache, say)
            return by(Basis.of(target, int8, prices, prices.where))
        except UserError as error:
            why = f"{device.name} does not tell its prices ({error.message})"
    return by(Basis.of(target, int8, None, why))


def _unpriced(recipe: Recipe, target: Target, device: Device | None) -> str:
    """Why the device is not asked for prices; empty where it is."""
    if device is None:
        return f"no device of {target.name} was there to tell its prices"
    if target.primary != "litert" or "litert" not in device.runtimes:
        return f"there are no prices of {target.primary}'s operators"
    pruning = recipe.stages.prune
    if device.how == "emulated" or (pruning and (pruning.cost or pruning.if_costlier)):
        return ""
    return f"{device.name} is asked for prices where pruning goes by them (`stages.prune.cost`)"
