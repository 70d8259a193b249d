"""Models of sound that can be built here: what a recipe says of each."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from edgedistill.families.common import ModelCommon, Width
from edgedistill.target import Frozen


class FrontEndSettings(Frozen):
    """What a model computes of its samples first: the log of the power in bands of the mel scale,
    of windows of 30 ms every 10 ms."""

    rate: int = Field(default=16_000, ge=4_000, le=96_000, multiple_of=100)
    """Samples a second, as `data.sound.rate` has it."""
    bands: int = Field(default=40, ge=8, le=128)
    """Triangles of equal width on the mel scale."""
    lowest_hz: float = Field(default=60.0, ge=0.0, le=20_000.0)
    """Where the first triangle begins."""
    highest_hz: float = Field(default=7_600.0, ge=100.0, le=48_000.0)
    """Where the last triangle ends; at most half the rate."""
    floor: float = Field(default=1e-5, ge=1e-10, le=1.0)
    """Added to the power of each band before the log is taken. A sine of full scale has a power of
    about 1e4, the noise of 16-bit samples 1e-8; the higher, the less of quiet sound is told apart,
    and the finer the steps of int8."""


class SoundModel(ModelCommon):
    """What takes windows of samples (batch, samples) in -1..1."""

    takes_sound = True
    front_end: FrontEndSettings = FrontEndSettings()
    """What the samples become first, in the model itself."""


class DepthwiseModel(SoundModel):
    """Depthwise separable convolutions over time and frequency, the DS-CNN of Zhang et al. 2017,
    "Hello Edge" (section 3.5). No convolution pads time, so that it streams: its `step` takes
    `time_stride` times 10 ms of samples."""

    family: Literal["ds_cnn"]
    made_in = "edgedistill.models.ds_cnn"
    width: Width = 64
    """Channels of each layer; the paper's sizes are 64, 172 and 276."""
    blocks: int = Field(default=4, ge=1, le=16)
    """Depthwise separable layers after the first; each sees two frames more."""
    time_kernel: int = Field(default=10, ge=1, le=50)
    """Frames of 10 ms that the first layer sees at once, at least `time_stride`."""
    time_stride: int = Field(default=2, ge=1, le=10)
    """Frames of 10 ms from one step to the next."""
    band_kernel: int = Field(default=8, ge=1, le=64)
    """Bands that the first layer sees at once."""
    band_stride: int = Field(default=4, ge=1, le=16)
    """Bands from one place of the first layer to the next; the paper's 10 coefficients, read at
    every second, are 40 bands here."""

    @model_validator(mode="after")
    def _kernel_covers_the_stride(self) -> DepthwiseModel:
        if self.time_kernel < self.time_stride:
            raise ValueError(
                f"`time_kernel` is {self.time_kernel} and `time_stride` {self.time_stride}: frames "
                "between would be heard by nobody"
            )
        return self


SOUND_FAMILIES: list[type[ModelCommon]] = [DepthwiseModel]
"""In the order in which the schema lists them."""
