"""Files of the same student that the target runs for much less than the one that ships."""

from __future__ import annotations

from collections.abc import Iterator

from edgedistill.advice.facts import Facts
from edgedistill.records import FileRow
from edgedistill.records.advice import Advice

_MUCH = 0.8
"""Of what the shipped file takes."""
_AS_GOOD = 0.5
"""Points of quality that another file may be worse by."""


def runtimes(facts: Facts) -> Iterator[Advice]:
    """The cheapest other precision in the same runtime, and the cheapest file in another."""
    report = facts.report
    shipped = next(row for row in report.files if row.shipped)
    now = facts.costs.get(_key(shipped))
    if now is None:
        return
    good = [row for row in report.files if not row.shipped and row.parity is not False
            and (row.quality or 0.0) >= (shipped.quality or 0.0) - _AS_GOOD]  # fmt: skip
    cheap = [(facts.costs[_key(row)], row) for row in good
             if facts.costs.get(_key(row), now) <= _MUCH * now]  # fmt: skip
    here = [each for each in cheap if each[1].runtime == shipped.runtime]
    there = [each for each in cheap if each[1].runtime != shipped.runtime]
    if here:
        cost, row = min(here, key=lambda each: each[0])
        yield _advice(
            facts, shipped, row, now, cost, f"ship {row.precision} in {row.runtime}",
            f"stages.export.precisions=[{row.precision}]",
        )  # fmt: skip
    if there:
        cost, row = min(there, key=lambda each: each[0])
        others = ", ".join((row.runtime, *(x for x in facts.target.runtimes if x != row.runtime)))
        yield _advice(
            facts, shipped, row, now, cost,
            f"ship {row.file}, which is in the bundle: in a target file of your own, "
            f"`runtimes: [{others}]`",
        )  # fmt: skip


def _key(row: FileRow) -> tuple[str, str, str]:
    return row.runtime, row.precision, row.file


def _advice(
    facts: Facts, shipped: FileRow, row: FileRow, now: float, cost: float, change: str, *key: str
) -> Advice:
    counted = facts.costs_in == "instructions"
    return Advice(
        kind="runtime", of=shipped.file, change=change,
        because=f"{row.file} takes {cost:.4g} {facts.costs_in} on the target, and {shipped.file} "
                f"{now:.4g}; it has {row.size_kb:.1f} KB, and that {shipped.size_kb:.1f}",
        gain=now - cost, unit=facts.costs_in, share=1 - cost / now, at_most=False,
        how="counted" if counted else "measured", set=key,
    )  # fmt: skip
