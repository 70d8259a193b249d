"""The summary a person reads at the end of a compile."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from edgedistill.records import (
    FileRow,
    ListenRecord,
    OnDevice,
    ProgramRow,
    ReportRecord,
)
from edgedistill.report import advice, device, left_over, listening
from edgedistill.report.contract import limit_of, reached_by, verdict
from edgedistill.report.numbers import milliseconds, number
from edgedistill.report.warnings import grouped

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_STYLES = {"ok": "green", "missed": "bold red", "not measured": "yellow"}


def summary(report: ReportRecord, width: int = 100, bundle: str = "") -> str:
    """The summary as plain text, at most `width` columns wide; `bundle`: where that lies."""
    from rich.console import Console

    text = io.StringIO()
    console = Console(file=text, width=width, color_system=None)
    show(report, console)
    if bundle:
        print(f"Bundle: {bundle}", file=text)
    show_warnings(report, console)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def show(report: ReportRecord, console: Console) -> None:
    """Print the summary: the headline, stages, files, contract."""
    from rich.markup import escape

    told = verdict(report)
    name = f"[bold]{report.name}[/] for [bold]{escape(str(report.target['name']))}[/]"
    style = "not measured" if "not measured" in told else "ok" if report.ok else "missed"
    console.print(f"{name}: [{_STYLES[style]}]{told if report.ok else told.upper()}[/]")
    console.print(headline(report), highlight=False)
    console.print()
    console.print(_stages(report, console.width))
    console.print(_files(report, console.width))
    if report.programs:
        console.print(_programs(report, console.width))
    if report.listened is not None:
        console.print(_listened(report.listened, console.width))
    if report.on_device is not None:
        console.print(_on_device(report.on_device, console.width))
        console.print(device.note(report.on_device), highlight=False, style="dim")
        console.print()
    for text in left_over.sentences(report, shipped=True):
        console.print(f"{left_over.TITLE}: {text}\n", markup=False, highlight=False, style="dim")
    console.print(_contract(report))
    console.print(f"Latency and memory: {report.where}.", markup=False, highlight=False)
    for text in integers_of(report):
        console.print(text, markup=False, highlight=False, style="dim")
    if report.advised is not None:
        _show_advice(report, console)


def _show_advice(report: ReportRecord, console: Console) -> None:
    """What to try, with its gain, the reason, and what `--set` takes for it."""
    found = advice.shown(report)
    console.print(f"\n[italic]{advice.TITLE}[/]")
    for each in found:
        lines = (
            f"- {each.change}: {each.gain}.",
            f"  {each.because}.",
            *(f"  --set {text!r}" for text in each.set),
        )
        for text in lines:
            style = "" if text is lines[0] else "dim"
            console.print(text, markup=False, highlight=False, style=style)
    basis = report.advised.basis if report.advised else ""
    text = basis if found else f"{advice.NONE} {basis}"
    console.print(text, markup=False, highlight=False, style="dim")


def integers_of(report: ReportRecord) -> list[str]:
    """Of each file that has a choice of them, which integers are in it, and why."""
    return [
        f"{row.file}: {row.integers.integers} integers between layers: {row.integers.why}."
        for row in report.files
        if row.integers
    ]


def show_warnings(report: ReportRecord, console: Console) -> None:
    """Print what to know before shipping, by what it is about, with what to do."""
    for group in grouped(report.warnings):
        console.print(f"\n[yellow]{group.about}[/]")
        for text in group.texts:
            console.print(f"- {text}", markup=False, highlight=False)
        console.print(f"  To do: {group.do}.", markup=False, highlight=False, style="dim")


def headline(report: ReportRecord) -> str:
    """The result in one sentence."""
    reached = report.summary
    parts = [f"{reached.precision} student in {reached.runtime}"]
    if reached.quality is not None:
        parts.append(f"{reached.metric} {reached.quality:.2f} % on the test set")
    if reached.quality_drop is not None:
        kept = 100 * (reached.retention or 0)
        parts.append(f"teacher {reached.teacher_quality:.2f} % ({kept:.1f} % kept)")
    size = f"{reached.size_kb:.1f} KB"
    if reached.smaller_than_teacher:
        size += f" ({reached.smaller_than_teacher:.1f}x smaller)"
    parts.append(size)
    if reached.p50_ms:
        speed = f"{reached.p50_ms:.3g} ms here"
        if reached.faster_than_teacher:
            speed += (
                f" ({reached.faster_than_teacher:.1f}x faster than the teacher in "
                f"{reached.teacher_runtime})"
            )
        parts.append(speed)
    return "; ".join(parts) + "."


_CAUSES = {"this machine's kernels": "kernels here", "rounding": "rounding"}


def parity_of(row: FileRow) -> str:
    """`ok`, `missed`, or where a tolerance was missed by a right file, what is why."""
    if row.parity is None:
        return "-"
    return _CAUSES.get(row.cause or "", "ok" if row.parity else "missed")


def _table(title: str) -> Table:
    from rich import box
    from rich.table import Table

    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))


def _stages(report: ReportRecord, width: int) -> Table:
    rows = report.stages
    padded = {"padded M": [number(row.padded_macs) for row in rows]}
    return _grid(
        "What each stage did",
        width,
        {"stage": [row.stage for row in rows]},
        {
            "val %": [number(row.validation_quality) for row in rows],
            "test %": [number(row.test_quality) for row in rows],
            "M MACs": [number(row.macs) for row in rows],
            **(padded if report.summary.padded_macs else {}),
            "KB": [number(row.size_kb, 1) for row in rows],
            "p50 ms": [milliseconds(row.p50_ms) for row in rows],
            "k params": [number(row.params, 1) for row in rows],
            "seconds": [number(row.seconds, 0) for row in rows],
        },
    )


def _files(report: ReportRecord, width: int) -> Table:
    rows = report.files
    return _grid(
        "Files",
        width,
        {
            "runtime": [row.runtime for row in rows],
            "precision": [row.precision + (" *" if row.shipped else "") for row in rows],
        },
        {
            "test %": [number(row.quality) for row in rows],
            "parity": [parity_of(row) for row in rows],
            "KB": [number(row.size_kb, 1) for row in rows],
            "p50 ms": [milliseconds(row.p50_ms) for row in rows],
            "p90": [milliseconds(row.p90_ms) for row in rows],
            "p99": [milliseconds(row.p99_ms) for row in rows],
            "memory MB": [number(row.peak_memory_mb, 1) for row in rows],
        },
    )


def _programs(report: ReportRecord, width: int) -> Table:
    rows = report.programs
    return _grid(
        "Other programs, each over a sequence of test data with its state fed back",
        width,
        {
            "runtime": [row.runtime for row in rows],
            "precision": [row.precision for row in rows],
            "program": [row.program for row in rows],
        },
        {
            "steps": [str(row.steps) for row in rows],
            "parity": [row.cause or "ok" for row in rows],
            "off by": [furthest(row) for row in rows],
            "p50 ms": [milliseconds(step_ms(report, row)) for row in rows],
        },
    )


def _listened(told: ListenRecord, width: int) -> Table:
    from rich.markup import escape

    rows = [[escape(row[0]), *row[1:]] for row in listening.rows(told)]
    columns = {name: [row[at] for row in rows] for at, name in enumerate(listening.HEADER)}
    names = {name: columns.pop(name) for name in ("keyword", "split")}
    return _grid(listening.title(told), width, names, columns)


def _on_device(told: OnDevice, width: int) -> Table:
    header, rows = device.table(told)
    columns = {name: [row[place] for row in rows] for place, name in enumerate(header)}
    names = {name: columns.pop(name) for name in ("file", "runtime")}
    if {row[2] for row in rows} == {"main"}:
        del columns["program"]
    return _grid(device.title(told), width, names, columns)


def furthest(row: ProgramRow) -> str:
    """How far a program's outputs are from the graph's at most: steps of their scales, or a share
    of their range."""
    steps = [each.max_steps for each in row.outputs if each.max_steps is not None]
    if steps:
        return f"{max(steps):.0f} steps"
    return f"{max(each.max_difference for each in row.outputs):.1g} of the range"


def step_ms(report: ReportRecord, row: ProgramRow) -> float | None:
    """Median milliseconds of one step."""
    key = row.file, row.program
    own = (each.p50_ms for each in report.measurements if (each.file, each.program) == key)
    return next(own, None)


def _grid(
    title: str, width: int, names: dict[str, list[str]], figures: dict[str, list[str]]
) -> Table:
    """A table of named rows. Where the terminal is narrow, the last figures are left out;
    report.html has them all."""
    table = _table(title)
    columns = {**names, **figures}
    left, kept = width - 2, []
    for name, cells in columns.items():
        left -= max(map(len, [name, *cells])) + 2
        if name in names or left >= 0:
            table.add_column(name, no_wrap=True, justify="left" if name in names else "right")
            kept.append(cells)
    for row in zip(*kept, strict=True):
        table.add_row(*row)
    return table


def _contract(report: ReportRecord) -> Table:
    from rich.markup import escape

    table = _table("Contract (of the file marked *)")
    table.add_column("line", no_wrap=True)
    table.add_column("promised")
    table.add_column("reached", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("note", overflow="fold")
    for line in report.contract:
        status = f"[{_STYLES[line.status]}]{line.status}[/]"
        table.add_row(line.name, limit_of(line), reached_by(line), status, escape(line.note))
    return table
