"""What the stage `verify` leaves: each file held against the torch graph it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from edgedistill.records.codec import Record
from edgedistill.target import Precision, RuntimeName

Cause = Literal["the file", "this machine's kernels", "rounding"]

_FEW = 0.5


@dataclass(frozen=True)
class Parity:
    """Of outputs (batch, values) against the reference on the same pixels."""

    agreement: float | None
    """Share of images that are decided alike; None where the task decides nothing."""
    max_difference: float
    mean_difference: float
    """As shares of the reference's range."""
    max_steps: float | None = None
    mean_steps: float | None = None
    """In steps of the output's scale."""
    within_step: float | None = None
    """Share of values at most one step off."""


@dataclass(frozen=True)
class OutputParity:
    """Of one output over a sequence, each step's state being what the step before gave."""

    output: str
    max_difference: float
    """As a share of the reference's range."""
    max_difference_in_first_half: float
    """The same until the middle of the sequence: how much of it was added up since."""
    max_steps: float | None = None
    """In steps of the output's scale."""
    within_step: float | None = None
    """Share of values at most one step off."""


@dataclass(frozen=True)
class ProgramRow:
    """A file's program that is not `main`, over a sequence of test data."""

    runtime: RuntimeName
    precision: Precision
    file: str
    program: str
    steps: int
    outputs: tuple[OutputParity, ...]
    plain_kernels: tuple[OutputParity, ...]
    """By the runtime's plainest kernels; empty where they were not needed."""
    missed: tuple[str, ...]
    """The tolerances that it misses, in words."""
    cause: Cause | None
    ok: bool


@dataclass(frozen=True)
class LayerParity:
    """How far one layer of a file is from the graph's, given the same integers."""

    layer: str
    max_steps: float
    exact: float
    """Share of values that are the graph's own."""

    @property
    def strays(self) -> bool:
        """Rounding moves values by a step at most, and few of them; a zero point that is one off
        moves nearly all."""
        return self.max_steps > 1 or self.exact < _FEW


@dataclass(frozen=True, kw_only=True)
class VerifyRow(Parity):
    """One file, and whether it is right."""

    runtime: RuntimeName
    precision: Precision
    file: str
    quality: float
    """The task's metric on the test set, in percent."""
    further: dict[str, float]
    """The task's other figures, in percent."""
    missed: tuple[str, ...]
    """The tolerances that it misses, in words."""
    cause: Cause | None
    verdict: str
    """What was run to find the cause, and what came."""
    first_diverging: str | None
    """The first layer that strays."""
    plain_kernels: Parity | None
    """By the runtime's plainest kernels; None where they were not needed."""
    layers: tuple[LayerParity, ...]
    """An int8 file's, each given the graph's integers."""
    ok: bool


@dataclass(frozen=True)
class VerifyRecord(Record):
    """Every file, and the quality of the models before it on the same test set."""

    FILE: ClassVar[str] = "verify.json"

    ok: bool
    rows: tuple[VerifyRow, ...]
    torch: dict[str, float]
    """Quality in percent of the step's models, and of the graphs `float` and `int8`."""
    images: int
    programs: tuple[ProgramRow, ...] = ()
    """The student's programs that are not `main`."""
