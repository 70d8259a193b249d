"""Advice in the report, the page and the terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from edgedistill.advice import WhatIf
from edgedistill.advice.what_if import Operator
from edgedistill.records import Advice, ReportRecord, as_json, from_json
from edgedistill.report import build_report, summary
from edgedistill.report.advice import NONE, TITLE, gain_of
from edgedistill.report.page import page

Make = Callable[..., Any]


@pytest.fixture
def advised(make_result: Make) -> ReportRecord:
    """Of a compile that missed its promise of MACs."""
    asked = WhatIf(
        "padded MACs", "Reckoned in <padded> MACs.", 1e6, (Operator("stem", "product", 1e6),),
        image_sizes={(4, 4): 3e5},
    )  # fmt: skip
    result = replace(make_result("android-arm64", contract={"max_macs": 2}), what_if=asked)
    return build_report(result)


def test_page_and_terminal_say_what_to_try_and_what_to_set(advised: ReportRecord) -> None:
    text, html = summary(advised, 200), page(advised)
    for told in (text, html):
        assert TITLE in told
        assert "images of 4 x 4 pixels" in told
        assert "0.7 M padded MACs, 70.0% of an inference, reckoned" in told
        assert "data.image_size=4" in told
    assert "Reckoned in <padded> MACs." in text
    assert "Reckoned in &lt;padded&gt; MACs." in html


def test_json_holds_it(advised: ReportRecord) -> None:
    found = from_json(ReportRecord, as_json(advised)).advised
    assert found == advised.advised and found is not None
    assert [each.kind for each in found.advice] == ["image size"]


def test_where_nothing_holds_it_is_said(advised: ReportRecord) -> None:
    assert advised.advised is not None
    none = replace(advised, advised=replace(advised.advised, advice=()))
    for told in (summary(none, 200), page(none)):
        assert f"{NONE} Reckoned in" in told


def test_a_report_of_an_older_version_has_no_such_section(advised: ReportRecord) -> None:
    older = replace(advised, advised=None)
    assert TITLE not in summary(older, 200) and TITLE not in page(older)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, "at most 1,500 instructions, 12.0% of an inference, counted"),
        ({"gain": -30.0, "share": -0.002, "at_most": False, "how": "reckoned"},
         "costs 30 instructions, 0.2% of an inference, reckoned"),
        ({"unit": "ms", "gain": 0.01234}, "at most 0.0123 ms, 12.0% of an inference, counted"),
        ({"unit": "KB", "gain": 3.25}, "at most 3.2 KB, 12.0% of the file, counted"),
        ({"unit": "points", "gain": 1.5}, "at most 1.50 points of validation accuracy"),
        ({"gain": None}, "not reckoned"),
    ],
)  # fmt: skip
def test_gains_in_words(advised: ReportRecord, changed: dict[str, Any], told: str) -> None:
    advice = Advice(
        kind="operator", of="x", change="y", because="z", gain=1500.0, unit="instructions",
        share=0.12, at_most=True, how="counted",
    )  # fmt: skip
    assert gain_of(replace(advice, **changed), advised) == told
