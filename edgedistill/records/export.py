"""What the stage `export` leaves beside its files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NotRequired, TypedDict

from edgedistill.records.codec import Record
from edgedistill.signature import Signature, TensorSpec
from edgedistill.target import Precision, RuntimeName


class OnProcessor(TypedDict):
    """How many operators a runtime executes of a file, and how many of each type in float."""

    executed: int
    float_counts: dict[str, int]


class InFloat(OnProcessor):
    """With those that run in float, `TYPE NAME`."""

    float_operators: list[str]


class Transposes(TypedDict):
    """What is transposed in a file."""

    transposes: int
    transposed_bytes: int
    """Moved by them in one inference."""
    transposed_around: list[str]
    """Types of the operators that read or make what is transposed."""


class Look(InFloat):
    """What `Runtime.inspect` sees in a file; `FileEntry` says what each of it means."""

    operators: dict[str, int]
    inner_pairs: int
    transposes: int
    transposed_bytes: NotRequired[int]
    transposed_around: NotRequired[list[str]]
    arena_bytes: NotRequired[int]
    oldest: NotRequired[str | None]
    oldest_for: NotRequired[list[str]]
    arm64: NotRequired[OnProcessor]


@dataclass(frozen=True)
class Executed:
    """How many operators a runtime executes of a file, and how many of each type in float."""

    executed: int
    float_counts: dict[str, int]


Integers = Literal["signed", "unsigned"]


@dataclass(frozen=True)
class IntegersChoice:
    """Whether an int8 .onnx file has int8 or uint8 between its layers, and why."""

    integers: Integers
    why: str
    """In a sentence."""
    ratio: float | None = None
    """Median over the rounds of the unsigned file's latency by the signed one's; None where they
    were not measured."""
    signed_ms: tuple[float, ...] = ()
    """Median of each round; the two files take turns."""
    unsigned_ms: tuple[float, ...] = ()
    where: str | None = None
    """The device on which it was measured."""


@dataclass(frozen=True)
class FileEntry:
    """One file: what it is called with, what it gives, and what a runtime makes of it."""

    runtime: RuntimeName
    precision: Precision
    file: str
    bytes: int
    signature: Signature
    """Of the program that it holds, with the file's own shapes, layouts and scales."""
    operators: dict[str, int]
    """How many of each type are written in the file."""
    transposes: int
    transposed_bytes: int | None = None
    """Moved by them in one inference; LiteRT only, as is `transposed_around`."""
    transposed_around: tuple[str, ...] | None = None
    """Types of the operators that read or make what is transposed."""
    arena_bytes: int | None = None
    """Of memory that LiteRT plans for what its own kernels compute; LiteRT only."""
    oldest: str | None = None
    """The first TensorFlow Lite that has all of its operators, `2.3`; LiteRT only, and None where
    that is not known."""
    oldest_for: tuple[str, ...] | None = None
    """Operators with their versions that want no older one, or of which it is not known."""
    executed: int | None = None
    """Operators that the runtime executes on this processor; of int8 files only, as all below."""
    float_operators: tuple[str, ...] | None = None
    """`TYPE NAME` of those that run in float."""
    float_counts: dict[str, int] | None = None
    """Of these, how many of each type."""
    arm64: Executed | None = None
    """The same on arm64, where a runtime makes another choice there."""
    inner_pairs: int | None = None
    """Quantize and dequantize operators that are not at the file's boundary."""
    program: str = "main"
    """Which of the student's programs it is."""
    integers: IntegersChoice | None = None
    """Of int8 .onnx files."""

    @property
    def input(self) -> TensorSpec:
        """The first input."""
        return self.signature.inputs[0]

    @property
    def output(self) -> TensorSpec:
        """The output that a task judges."""
        return self.signature.outputs[self.signature.answer]


@dataclass(frozen=True)
class ExportRecord(Record):
    """The files, the primary runtime's first, in the order in which they were written."""

    FILE: ClassVar[str] = "export.json"

    files: tuple[FileEntry, ...]
    labels: tuple[str, ...]
    float_layers: tuple[str, ...]
    """Layers that are in float in int8 files."""

    @property
    def main(self) -> tuple[FileEntry, ...]:
        """Of the program that is judged, one for each file that has it."""
        return tuple(entry for entry in self.files if entry.program == "main")

    @property
    def others(self) -> tuple[FileEntry, ...]:
        """Of the student's further programs."""
        return tuple(entry for entry in self.files if entry.program != "main")

    def smallest(self, program: str = "main") -> FileEntry | None:
        """Of the primary runtime's files with that program the one as small as it comes; None
        where there is none."""
        order = ("int8", "fp16", "fp32")
        own = [each for each in self.files if each.program == program]
        first = [each for each in own if each.runtime == self.files[0].runtime] or own
        return min(first, key=lambda each: order.index(each.precision), default=None)
