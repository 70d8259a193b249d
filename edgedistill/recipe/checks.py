"""The settings of what is written, checked and measured once the student is made."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgedistill.fields import (
    FilePath,
    Points,
    Share,
)
from edgedistill.target import Frozen, Precisions


class ExportConfig(Frozen):
    """Which files are written."""

    precisions: Precisions | None = None
    """By default the target's."""
    oldest: Annotated[str, Field(pattern=r"^2\.\d{1,3}$")] | None = None
    """The oldest TensorFlow Lite that has to run the .tflite files, such as `"2.14"` (in quotes):
    a file whose operators want a newer one ends the compile."""
    integers: Literal["auto", "signed", "unsigned"] = "auto"
    """What int8 .onnx files have between their layers: the same values as int8 (as kernels for Arm
    take them) or uint8 (as those for x86 do). `auto` measures both where this machine is of the
    target's kind, and takes uint8 where that takes 5 % less; elsewhere it is int8. Pin it for files
    that depend on no machine."""


class VerifyConfig(Frozen):
    """How closely each file must follow the torch graph."""

    agreement: Share = 0.995
    """Share of the test set on which top-1 must agree."""
    within_step: Share = 0.99
    """int8: share of output values within one quantization step."""
    within_step_litert: Share = 0.95
    """The same for LiteRT, whose fixed-point rounding adds up with depth."""
    float_tolerance: float = Field(default=1e-3, gt=0.0, le=1e6)
    """fp32: largest difference of an output, relative to the outputs' range."""
    half_tolerance: float = Field(default=2e-2, gt=0.0, le=1e6)
    """fp16: the same."""
    quality: Points = 0.3
    """int8: points of quality by which a runtime may differ from the torch graph."""
    layer_samples: int = Field(default=16, ge=1, le=100_000)
    """Images for the layer-by-layer comparison."""


class AuditConfig(Frozen):
    """What is asked of the student beyond its accuracy."""

    corruption_samples: int = Field(default=1000, ge=0, le=10**9)
    """Test samples that are made worse at three strengths: pictures blurred, noisy and so on, sound
    in noise, quiet, clipped, through a telephone's band, faster or slower; 0 leaves it out."""
    out_of_distribution: FilePath | None = None
    """A folder of images that belong to no class; of sound a folder, a parquet file or a manifest
    of recordings without a keyword, of kinds that training had none of. Without, noise stands
    in."""
    slices: FilePath | None = None
    """A CSV file that parts the test samples: a column `sample` with one's name as messages call it
    (`test/cat/1.png`, `test.parquet row 12`), and others, such as `camera`, `light` or `room`;
    each of their values is a slice. Clips are parted by their speakers too, where the data names
    these."""
    control: bool = False
    """Train the student's shape once more, from the labels alone and for as many image-passes, to
    see what the teacher was worth."""
    routing_drop: Points = 0.5
    """Points of accuracy below the teacher that routing to it may end at."""


_Decibels = Annotated[float, Field(ge=-20.0, le=100.0)]
_Milliseconds = Annotated[float, Field(ge=0.0, le=60_000.0)]
_Choices = Annotated[tuple[_Milliseconds, ...], Field(min_length=1, max_length=16)]


class ListenConfig(Frozen):
    """How keywords are listened for in long audio, which is made of a split's recordings without a
    keyword, one behind the other, and of each of its keywords spoken once between them, over
    noise. What counts as heard is chosen on validation audio, and tried on the test set's."""

    minutes: float | None = Field(default=None, gt=0.0, le=1e5)
    """Of recordings without a keyword, of each split, at most; none given: all there are."""
    false_accepts_per_hour: float | None = Field(default=None, ge=0.0, le=1e6)
    """The most on validation audio, of all keywords together, with which the thresholds are chosen;
    none given: what the contract promises, else 1."""
    snr_db: tuple[_Decibels, _Decibels] = (5.0, 20.0)
    """Least and most decibels of a keyword above the noise that it is spoken over: a recording of
    `data.sound.noise`, or where there are none, of the others."""
    tolerance_ms: _Milliseconds = 1000.0
    """After the end of a keyword's recording, how late it may be heard."""
    smoothing_ms: _Choices = (0.0, 60.0, 120.0, 240.0)
    """Times to choose from, over which probabilities are averaged; 0: none of it."""
    refractory_ms: _Choices = (1000.0, 1500.0, 2000.0)
    """Times to choose from, in which a keyword is not heard again."""
    compared_minutes: float = Field(default=10.0, gt=0.0, le=1e5)
    """Of the test set's long audio, at most, over which each other file is held against the one
    that ships."""

    @model_validator(mode="after")
    def _least_is_below_most(self) -> ListenConfig:
        if self.snr_db[0] > self.snr_db[1]:
            raise ValueError(f"`snr_db: {list(self.snr_db)}`: the least comes first")
        return self

    def limit(self, promised: float | None) -> float:
        """False accepts an hour with which the thresholds are chosen; promised: by the contract."""
        given = (self.false_accepts_per_hour, promised, 1.0)
        return next(each for each in given if each is not None)


class BenchmarkConfig(Frozen):
    """How latency and memory are measured."""

    runs: int = Field(default=200, ge=10, le=10**7)
    """Of each file, one image each."""
    seconds: float = Field(default=5.0, gt=0.0, le=1e6)
    """Measured runs of each file; fewer where `seconds` are over before."""
    warmup: int = Field(default=10, ge=0, le=10**7)
    """Runs before those that are measured."""
