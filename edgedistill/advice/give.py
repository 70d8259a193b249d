"""All rules, in the order in which their advice is shown."""

from __future__ import annotations

from edgedistill.advice.facts import Facts
from edgedistill.advice.operators import operators
from edgedistill.advice.quality import quality
from edgedistill.advice.runtimes import runtimes
from edgedistill.advice.sizes import sizes
from edgedistill.advice.widths import widths
from edgedistill.records.advice import Advice, Advised

RULES = (runtimes, operators, widths, sizes, quality)


def advised(facts: Facts) -> Advised:
    """What holds of a compile: what makes it cheaper, the most first, then what makes it better."""
    found = [advice for rule in RULES for advice in rule(facts)]
    basis = facts.what_if.basis if facts.what_if is not None else ""
    return Advised(basis, tuple(sorted(found, key=_last)))


def _last(advice: Advice) -> tuple[bool, float]:
    return advice.share is None, -(advice.share if advice.share is not None else advice.gain or 0.0)
