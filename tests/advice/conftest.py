"""Facts of a compile, for rules that are functions of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from edgedistill.advice import Facts
from edgedistill.report import build_report


@pytest.fixture
def make_facts(make_result: Callable[..., Any]) -> Callable[..., Facts]:
    """`make_facts(target, what_if=, costs=, report=, **changes of the recipe)`; report: changes of
    the report."""

    def make(target: str = "linux-x64", **given: Any) -> Facts:
        asked, costs = given.pop("what_if", None), given.pop("costs", {})
        changed, unit = given.pop("report", {}), given.pop("costs_in", "ms")
        result = make_result(target, **given)
        report = replace(build_report(result), **changed)
        return Facts(result.recipe, result.target, report, asked, costs, unit)

    return make
