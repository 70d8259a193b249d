"""Printing for the commands: tables and JSON to standard output, words to standard error."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from edgedistill.artifact import JsonObject
from edgedistill.errors import UserError, printable

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def say(text: str) -> None:
    """A line of words, or several, to standard error."""
    print(printable(text), file=sys.stderr, flush=True)


@contextmanager
def _printing() -> Iterator[None]:
    """Raises UserError: standard output takes nothing, as its disk is full. Raises BrokenPipeError:
    nobody reads it any more."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        print_no_more()
        told = (error.strerror or type(error).__name__).lower()
        raise UserError(f"standard output: {told}", "send it to another place") from None


def print_line(text: str) -> None:
    """A line of data, or several."""
    with _printing():
        print(printable(text))


def flush() -> None:
    """See that what was printed has gone out."""
    with _printing():
        sys.stdout.flush()


def print_no_more() -> None:
    """Else what is left would be tried again, and fail, as Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def print_json(value: Any) -> None:
    """A value as JSON, what JSON does not know as text."""
    print_line(json.dumps(value, indent=1, default=str))


def print_rows(rows: Sequence[JsonObject], columns: Sequence[str], as_json: bool) -> None:
    """The `columns` of rows as a table, or the rows whole as JSON."""
    if as_json:
        print_json(rows)
    else:
        print_table(columns, [[row.get(column) for column in columns] for row in rows])


def print_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Columns aligned by spaces: a person reads it, and so does `awk`."""
    cells = [[_cell(value) for value in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    for row in cells:
        line = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print_line("  ".join(line).rstrip())


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("\n", "\\n")


def print_report(found: Any, bundle: str) -> None:
    """The summary of one compile, in color on a terminal, where its bundle lies, and at last what
    to know before shipping it. found: what `report.json` holds."""
    from rich.console import Console

    from edgedistill.records import ReportRecord, from_json
    from edgedistill.records.recognition import RecognitionReport
    from edgedistill.report import recognition_terminal
    from edgedistill.report.terminal import show, show_warnings, summary

    if "recognized" in found:
        recognized = from_json(RecognitionReport, _printable(found), "the report")
        print_line(recognition_terminal.summary(recognized, bundle))
        return
    report = from_json(ReportRecord, _printable(found), "the report")
    if not sys.stdout.isatty():
        print_line(summary(report, bundle=bundle))
        return
    console = Console()
    show(report, console)
    print_line(f"Bundle: {bundle}")
    show_warnings(report, console)


def _printable(value: Any) -> Any:
    """A value of JSON's kinds with all its text as it may go to a terminal."""
    if isinstance(value, dict):
        return {key: _printable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_printable(each) for each in value]
    return printable(value) if isinstance(value, str) else value


def size_text(size: float) -> str:
    """Bytes as a person says them: `1.5 GB`; a GB has 10^9."""
    for unit in ("B", "KB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"


def parse_size(text: str) -> int:
    """`2GB`, `500 MB`, `1000` in bytes. Raises UserError: anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)B?\s*", text, re.IGNORECASE)
    if match is None:
        raise UserError(f"`{text}` is not a size", "write it as 2GB or 500MB")
    return int(float(match[1]) * _UNITS[match[2].upper()])
