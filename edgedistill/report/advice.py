"""Advice in words, for the page and the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgedistill.records import Advice, Advised, ReportRecord
from edgedistill.report.numbers import milliseconds

TITLE = "What would make it cheaper or better"
NONE = "Nothing was found that would."


@dataclass(frozen=True)
class Shown:
    """One piece of advice."""

    change: str
    gain: str
    of: str
    because: str
    set: Sequence[str]
    """What `--set` takes."""


def shown(report: ReportRecord) -> list[Shown]:
    """In the order of the report."""
    advised = report.advised or Advised("", ())
    return [
        Shown(_sentence(each.change), gain_of(each, report), each.of, _sentence(each.because),
              each.set)
        for each in advised.advice
    ]  # fmt: skip


def gain_of(advice: Advice, report: ReportRecord) -> str:
    """How much less is taken, or how much more is reached, and how that is known."""
    if advice.gain is None:
        return "not reckoned"
    most = "at most " if advice.at_most else ""
    if advice.unit == "points":
        return f"{most}{advice.gain:.2f} points of validation {report.summary.metric}"
    of = "the file" if advice.unit == "KB" else "an inference"
    share = "" if advice.share is None else f", {abs(advice.share):.1%} of {of}"
    sign = "costs " if advice.gain < 0 else ""
    return f"{sign}{most}{_amount(abs(advice.gain), advice.unit)}{share}, {advice.how}"


def _amount(value: float, unit: str) -> str:
    if unit == "ms":
        return f"{milliseconds(value)} ms"
    if unit.endswith("MACs"):
        return f"{value / 1e6:.4g} M {unit}"
    return f"{value:,.1f} KB" if unit == "KB" else f"{value:,.0f} {unit}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
