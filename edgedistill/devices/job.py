"""What every device takes and gives: a job in, a record out, and which device it was."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from edgedistill.errors import UserError
from edgedistill.records import Accelerator, How, OperatorRow, RunSummary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgedistill.signature import Signature


@dataclass(frozen=True)
class Protocol:
    """How long to measure: until `runs` or `seconds` is reached, and after at least `minimum` runs
    and `minimum_seconds`."""

    warmup: int = 10
    """Runs before those that count. They go on in blocks of as many, two to ten of them, until the
    median of a block is within 5 % of the last one's; no third begins after `seconds`."""
    runs: int = 200
    seconds: float = 5.0
    threads: int = 1
    minimum: int = 10
    minimum_seconds: float = 0.0


PROTOCOLS = {
    "quick": Protocol(),
    "mlperf": Protocol(runs=1024, seconds=60, minimum=1024, minimum_seconds=60),
    "sustained": Protocol(runs=1024, seconds=600, minimum=1024, minimum_seconds=600),
}
"""By name: a look; as long as MLPerf Mobile asks of a single stream (1,024 queries and a minute);
ten minutes, in which a device without a fan grows warm."""

ONCE = Protocol(warmup=0, runs=1, seconds=0.0, minimum=1)
"""To see what a file answers, and not how fast."""


@dataclass(frozen=True)
class BenchmarkModel:
    """LiteRT's own program of that name, which measures .tflite files in the place of ours."""

    path: Path
    isa: str
    """That it is built for."""
    accelerator: Accelerator = "xnnpack"
    """Which delegate it is asked to use."""


@dataclass(frozen=True)
class Job:
    """What a device is to measure, and how."""

    model: Path
    """A model file; for the runtime `torch`, a model folder."""
    runtime: str
    inputs: Path
    """`.npz` of real values (samples, ...) by the inputs' names, pictures (samples, channels,
    height, width) in 0..1. One sample is one run."""
    protocol: Protocol = Protocol()
    program: str = "main"
    """Which of the file's programs."""
    profile: bool = True
    """Also ask for per-operator times (after the other figures were taken) and for outputs."""
    samples: int = 32
    """At most so many of the inputs are taken."""
    memory: bool = False
    """Instead of times, measure how much memory a load and a few runs take."""
    by: BenchmarkModel | None = None
    """What measures, where it is not the device's own way: only where `Device.runs_programs`."""

    @property
    def doing(self) -> str:
        """For messages."""
        way = "by benchmark_model" if self.by else f"in {self.runtime}"
        return f"measuring {self.model.name} {way}"


@dataclass(frozen=True)
class Order:
    """A job for a program that runs in a folder of its own, with all that must lie there."""

    files: tuple[Path, ...]
    """Of this job alone; the model first."""
    answers: tuple[str, ...]
    """Names of the files that it writes."""
    lasting: Mapping[str, Path]
    """By the names that they must have there: the program, and what the next job needs too."""
    command: Callable[[str], list[str]]
    """The words that start it in that folder, by where the model lies."""
    read: Callable[[Path], Record]
    """What it wrote into a folder; raises UserError."""
    who: str = "the runner"
    closing: str = ""
    """What it says last whenever it fails, and which tells nothing."""
    hint: str = "see that the file is whole and its runtime is right"
    """The way out, where it fails."""

    def telling(self, printed: str) -> str:
        """What it printed, without its closing words."""
        lines = printed.splitlines()
        return "\n".join(line for line in lines if not self.closing or self.closing not in line)


@dataclass(frozen=True)
class Conditions:
    """How a device was at a moment."""

    at_s: float
    """Seconds since the job began; negative before it."""
    facts: Mapping[str, str | float]
    """`load`, `thermal_status`, `battery_percent`, ... as far as the device tells."""


@dataclass(frozen=True)
class Record:
    """What a device brings back from one job. Times in milliseconds, memory in 10^6 bytes; None is
    what it does not tell, or what would mean nothing there."""

    cold_load_ms: float | None
    """First load in a fresh process. The file may lie in the system's page cache."""
    warm_load_ms: float | None
    samples_ms: list[float]
    """One inference of one sample each: encoding and decoding of inputs and outputs excluded."""
    peak_memory_mb: float | None
    """Peak resident memory of a load and its runs, above the process with the runtime loaded."""
    import_ms: float | None = None
    """Loading the runtime; not part of the loads."""
    warmup_ms: list[float] = field(default_factory=list)
    operators: list[OperatorRow] = field(default_factory=list)
    outputs: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    """Of each input, as the file itself gives them (samples, ...), by name."""
    signature: Signature | None = None
    """Of the program that ran; it says what `outputs` stand for."""
    instructions: dict[str, float] = field(default_factory=dict)
    """Of one inference by class, `all` among them, where a device counts them."""
    conditions: list[Conditions] = field(default_factory=list)
    summary: RunSummary | None = None
    """In the place of samples, of a program that tells no more."""


@dataclass(frozen=True)
class Identity:
    """Which device that was: part of every measurement."""

    name: str
    """In a line, for people."""
    isa: str
    flags: tuple[str, ...] = ()
    """What its processor can beyond the instruction set's least: `dotprod`, `avx512_vnni`."""
    system: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    """`soc`, `fingerprint`, `governor`, ... as far as the device tells."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of the runtimes there."""


class Unfit(UserError):
    """A device cannot run this file, as it cannot any like it; others it can."""


class Device(typing.Protocol):
    """An opened device; leaving it takes away what was put there, whatever happened."""

    name: str
    """As the user asked for it: `ssh:board`."""
    how: How
    runtimes: tuple[str, ...]
    """That it can run."""
    runs_programs: bool
    """Whether it takes a program that the user gives: see `Job.by`."""

    def __enter__(self) -> Device: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def identity(self) -> Identity:
        """Which device this is."""

    def run(self, job: Job) -> Record:
        """Run one job in a fresh process of the device.

        Raises Unfit: the file is of a kind that cannot run there. UserError: the process died or
        took too long, or the device was lost.
        """
