"""A stage's words and progress on standard error: a live bar on a terminal, else sparse lines."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from edgedistill.errors import printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SECONDS_BETWEEN_LINES = 15.0
_AT_ONCE = 64
"""Images between two ticks."""


class Reporter(Protocol):
    """Where a stage's words and progress go."""

    def say(self, text: str) -> None:
        """One line the user should read."""

    def tick(self, label: str, done: float, total: float, note: str = "") -> None:
        """Progress of a long step; `note` carries speed, loss and the like."""


class Quiet:
    """For what nobody waits for."""

    def say(self, text: str) -> None:
        """Nothing."""

    def tick(self, label: str, done: float, total: float, note: str = "") -> None:
        """Nothing."""


class Log(Quiet):
    """What is said, for the log `edgedistill`."""

    def say(self, text: str) -> None:
        """A line of the level INFO."""
        logging.getLogger("edgedistill").info(text)


class Lines:
    """For logs and pipes: what is said, and each step's progress every few seconds."""

    def __init__(self) -> None:
        self._label = ""
        self._since = 0.0

    def say(self, text: str) -> None:
        """A line to standard error, control characters written as escapes."""
        print(printable(text), file=sys.stderr, flush=True)

    def tick(self, label: str, done: float, total: float, note: str = "") -> None:
        """A line, unless the step began or had one less than `SECONDS_BETWEEN_LINES` ago."""
        now = time.monotonic()
        if label != self._label:
            self._label, self._since = label, now
        elif now - self._since >= SECONDS_BETWEEN_LINES:
            self._since = now
            share = f"{min(done / total, 1):.0%}" if total else f"{done:g}"
            self.say(f"{label}: {share}{f', {note}' if note else ''}")


class Bar:
    """For a terminal: one bar, for the step at work."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._label = ""
        self._task: TaskID | None = None

    def say(self, text: str) -> None:
        """A line above the bar, control characters written as escapes."""
        self._progress.console.print(printable(text), markup=False, highlight=False)

    def tick(self, label: str, done: float, total: float, note: str = "") -> None:
        """Move the bar; another `label` begins it anew."""
        if label != self._label:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._label, self._task = label, self._progress.add_task(label, note="")
        assert self._task is not None
        self._progress.update(self._task, completed=done, total=total, note=printable(note))


class Asked:
    """Progress of a stage that asks models about images, `total` of them in all."""

    def __init__(self, reporter: Reporter, label: str, total: int) -> None:
        self._reporter, self._label = reporter, label
        self._done, self._total = 0, total

    def of(self, predict: Callable[..., Any], note: str) -> Callable[..., Any]:
        """A function on arrays of samples, asked a few at a time."""
        import numpy as np

        def asked(*inputs: Any) -> Any:
            parts = []
            for start in range(0, len(inputs[0]), _AT_ONCE):
                part = [values[start : start + _AT_ONCE] for values in inputs]
                self._reporter.tick(self._label, self._done, self._total, note)
                parts.append(predict(*part))
                self._done += len(part[0])
            self._reporter.tick(self._label, self._done, self._total, note)
            return np.concatenate(parts)

        return asked


@contextmanager
def reporting() -> Iterator[Reporter]:
    """The reporter that suits standard error, for as long as the context is open."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[note]}", style="dim", markup=False),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(progress)
