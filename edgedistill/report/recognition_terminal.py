"""The report of a recognizer's compile as a person reads it in a terminal."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgedistill.records import ContractLine
from edgedistill.records.recognition import RecognitionReport, Recognized
from edgedistill.report.contract import limit_of, reached_by, verdict
from edgedistill.report.numbers import number

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def summary(report: RecognitionReport, bundle: str, width: int = 100) -> str:
    """As plain text, at most `width` columns wide; `bundle`: where that lies."""
    from rich.console import Console

    text = io.StringIO()
    show(report, Console(file=text, width=width, color_system=None))
    print(f"Bundle: {bundle}", file=text)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def show(report: RecognitionReport, console: Console) -> None:
    """Print what came of it: the student, the files, the contract."""
    student, dropped = report.student, report.transcribed.dropped
    told = verdict(report) if report.ok else "CONTRACT MISSED"
    lines = [
        f"{report.name} for {report.target['name']}: {told if report.contract else 'compiled'}",
        f"encoder of {len(student.encoder)}, decoder of {len(student.decoder)} layers "
        f"({', '.join(map(str, student.decoder))}), {student.sizes['vocabulary']:,} tokens, window "
        f"of {report.data.window / report.data.rate:g} s",
        f"transcripts dropped: {_told(dropped)}",
        f"cross entropy of a token: cut {student.before.cross_entropy:.3f}, trained "
        f"{student.after.cross_entropy:.3f}",
        "",
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False)
    console.print(_files(report))
    if report.audited is not None:
        made_up = ", ".join(f"{each.shipped} of {each.sound}" for each in report.audited.made_up)
        console.print(f"Words made up where nothing is said: {made_up}.", markup=False,
                      highlight=False)  # fmt: skip
    if report.contract:
        console.print(_promises(report.contract))
    console.print(
        f"Times: one thread of {report.machine.processor} ({report.machine.isa}).",
        markup=False, highlight=False,
    )  # fmt: skip


def memory_of(report: RecognitionReport, row: Recognized) -> float | None:
    """The peak of a file's run, in 10^6 bytes; None where nobody measured it."""
    found = report.timed and report.timed.of("student", row.runtime, row.precision)
    return found.peak_memory_mb if found else None


def _told(dropped: dict[str, dict[str, int]]) -> str:
    found = [
        f"{count} {kind} of {name}" for name, kinds in dropped.items()
        for kind, count in kinds.items()
    ]  # fmt: skip
    return ", ".join(found) or "none"


def _files(report: RecognitionReport) -> Table:
    from rich.table import Table

    table = Table(title="Files", title_justify="left", box=None, pad_edge=True)
    headers = ["runtime", "precision", "WER %", "95 %", "CER %", "MB", "RTF", "first s", "tokens/s",
               "memory MB"]  # fmt: skip
    for name in headers:
        table.add_column(name, justify="left" if name in ("runtime", "precision") else "right")
    for row in (report.recognized.teacher, *report.recognized.files):
        low, high = row.error_rate.words_interval
        mark = " *" if (row.runtime, row.precision) == tuple(report.shipped) else ""
        table.add_row(
            "teacher" if row is report.recognized.teacher else row.runtime,
            row.precision + mark, f"{row.error_rate.words:.2f}", f"{low:.1f}-{high:.1f}",
            f"{row.error_rate.characters:.2f}", f"{row.bytes / 1e6:.1f}",
            f"{row.seconds / row.sound_seconds:.3f}", f"{row.first_token_seconds:.2f}",
            f"{row.tokens_per_second:.1f}", number(memory_of(report, row), 1),
        )  # fmt: skip
    return table


def _promises(lines: Sequence[ContractLine]) -> Table:
    from rich.table import Table

    table = Table(title="Contract (of the files marked *)", title_justify="left", box=None)
    for name in ("line", "promised", "reached", "status", "note"):
        table.add_column(name)
    for line in lines:
        table.add_row(
            line.name, limit_of(line), reached_by(line), line.status,
            line.note,
        )  # fmt: skip
    return table
