"""What tests of advice ask of every piece of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from edgedistill.advice import Facts, WhatIf
from edgedistill.advice.what_if import Operator
from edgedistill.recipe import parse_recipe
from edgedistill.records import Advice


def given(rule: Callable[[Facts], Iterable[Advice]], facts: Facts) -> list[Advice]:
    """What a rule says; what it sets, the recipe takes."""
    found = list(rule(facts))
    for each in found:
        parse_recipe(facts.recipe.model_dump(mode="json"), "recipe", each.set)
        assert each.change and each.because and each.of
    return found


def only(rule: Callable[[Facts], Iterable[Advice]], facts: Facts) -> Advice:
    """The one thing that a rule says."""
    (found,) = given(rule, facts)
    return found


def reckoned(cost: float = 1000.0, **other: Any) -> WhatIf:
    """Of a student with one layer."""
    operators = other.pop("operators", (Operator("stem", "product", cost, 500),))
    return WhatIf("instructions", "Reckoned.", cost, operators, **other)
