"""What parts of a manifest are made of, and those of sound."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, model_validator

from edgedistill.records import ContractLine, Executed, Machine
from edgedistill.target import Precision, RuntimeName


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts or not name.isprintable():
        raise ValueError("must be the name of a file within the bundle")
    return name


Name = Annotated[str, Field(max_length=200), AfterValidator(_inside)]
Label = Annotated[str, Field(min_length=1, max_length=1000)]


class Part(BaseModel):
    """A part of the manifest. One of another version may hold more, which is passed over."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Origin(Part):
    """What a manifest says of the compile."""

    name: str
    ok: bool
    """Whether the contract was kept."""
    digests: dict[Name, Annotated[str, Field(pattern="^[0-9a-f]{64}$")]]
    """SHA-256 of the files that an app needs."""
    recipe: dict[str, JsonValue]
    target: dict[str, JsonValue]
    edgedistill: str
    """Version that wrote it."""
    created: str
    """ISO 8601, UTC."""
    machine: Machine
    contract: tuple[ContractLine, ...]


class ModelFile(Part):
    """A model file, and what a runtime makes of it."""

    runtime: RuntimeName
    precision: Precision
    file: Name
    bytes: int = Field(ge=0)
    operators: dict[str, int]
    """How many of each type are written in the file."""
    transposes: int
    transposed_bytes: int | None = None
    """Moved by them in one inference, where that is known."""
    transposed_around: tuple[str, ...] | None = None
    """Types of the operators that read or make what is transposed."""
    arena_bytes: int | None = None
    oldest: str | None = None
    oldest_for: tuple[str, ...] | None = None
    """Of memory that LiteRT plans for what its own kernels compute, weights excluded; where a
    delegate takes operators, it plans memory of its own for them."""
    executed: int | None = None
    """Operators that the runtime executed where it was compiled; of int8 files only, as below."""
    float_operators: tuple[str, ...] | None = None
    """`TYPE NAME` of those that ran in float."""
    float_counts: dict[str, int] | None = None
    """Of these, how many of each type."""
    arm64: Executed | None = None
    """The same on arm64, where a runtime makes another choice there."""
    inner_pairs: int | None = None
    """Quantize and dequantize operators that are not at the file's boundary."""


class BundledSound(Part):
    """What the models take of sound: one channel of samples in -1..1."""

    rate: int = Field(ge=1, le=1_000_000)
    """Samples a second."""
    samples: int = Field(ge=1, le=100_000_000)
    """Of the window that `main` takes."""
    cut: Literal["end", "middle", "spoken"]
    """Which part of a longer recording that is: its `end`, its `middle`, or what ends 100 ms after
    the last stretch of 30 ms that is `spoken`, within 30 decibels of the loudest and 6 above the
    recording's quietest fifth. A shorter one has silence before it, with `middle` on both sides."""


class Tried(Part):
    """What was heard and missed in the test set's long audio."""

    hours: float = Field(ge=0)
    """Of audio without a keyword."""
    said: int = Field(ge=0)
    misses: float | None
    """In percent."""
    misses_interval: tuple[float, float] | None
    """95 %."""
    false_accepts_per_hour: float
    false_accepts_interval: tuple[float, float]


_MOST_STEPS, _MOST_KEPT = 100_000, 10_000_000


class BundledListening(Part):
    """How an app listens to a stream, and when a keyword counts as heard."""

    program: Annotated[str, Field(max_length=100)]
    """Which of `programs`; its input that is no state takes the samples."""
    input: Annotated[str, Field(max_length=200)]
    """Its name."""
    rate: int = Field(ge=1, le=1_000_000)
    """Samples a second."""
    hop: int = Field(ge=1, le=10_000_000)
    """Samples that one step takes."""
    lead_in: int = Field(ge=0, le=100_000_000)
    """Samples of silence to feed before the first."""
    smoothing: int = Field(ge=1, le=100_000)
    """Steps over which a probability is averaged."""
    refractory: int = Field(ge=0, le=10_000_000)
    """Steps after a detection in which the same keyword is not heard again."""
    refractory_ms: float = Field(ge=0)
    thresholds: dict[Label, Annotated[float, Field(ge=0, le=1)]] = Field(
        min_length=1, max_length=100_000
    )
    """What a keyword's averaged probability has to exceed."""
    test: Tried
    notes: str
    """The same in words."""

    @model_validator(mode="after")
    def _takes_little(self) -> BundledListening:
        # A bundle may come from anybody, and what it says is done.
        if self.lead_in > _MOST_STEPS * self.hop:
            raise ValueError(f"`lead_in`: more than {_MOST_STEPS:,} steps of `hop`")
        if self.smoothing * len(self.thresholds) > _MOST_KEPT:
            raise ValueError(f"`smoothing`: more than {_MOST_KEPT:,} probabilities to keep")
        return self
