"""Models of sound that can be built here: what a recipe says of each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgedistill.families.common import ModelCommon, Width
from edgedistill.fields import Share
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
    highest_hz: float | None = Field(default=None, ge=100.0, le=48_000.0)
    """Where the last triangle ends, at most half the rate; none given: 7,600, or 95 % of half the
    rate where that is less."""
    compression: Literal["log", "pcen"] = "log"
    """What becomes of each band's power. `log`: its logarithm. `pcen`: its square root after it is
    divided by what the band had lately, which takes a steady noise and the distance from the
    microphone away (per-channel energy normalization, Wang et al. 2017)."""
    floor: float = Field(default=1e-5, ge=1e-10, le=1.0)
    """`log`: added to the power of each band before. A sine of full scale has a power of about 1e4,
    the noise of 16-bit samples 1e-8; the higher, the less of quiet sound is told apart, and the
    finer the steps of int8."""
    memory_ms: int = Field(default=400, ge=20, le=5_000, multiple_of=10)
    """`pcen`: how far back lately goes. So much of a window's beginning is only listened to."""

    @property
    def range_hz(self) -> tuple[float, float]:
        """Where the first triangle begins and the last one ends."""
        return self.lowest_hz, self.highest_hz or min(7_600.0, 0.475 * self.rate)

    @model_validator(mode="after")
    def _bands_are_heard(self) -> FrontEndSettings:
        low, high = self.range_hz
        if not low < high <= self.rate / 2:
            raise ValueError(
                f"bands from {low:g} to {high:g} Hz, of sound with {self.rate} samples a second: "
                "`highest_hz` is above `lowest_hz`, and at most half the rate"
            )
        return self


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
    pool: Literal["mean", "depthwise"] = "mean"
    """What becomes of the window's places in time. `mean`: their mean, as in the paper, which knows
    no order. `depthwise`: in each channel every place has a weight of its own, and batch norm and
    ReLU follow (the global depthwise convolution of Chen et al. 2018, "MobileFaceNets"): what was
    said first is told from what was said last, for `width` times the places weights more."""

    @model_validator(mode="after")
    def _kernel_covers_the_stride(self) -> DepthwiseModel:
        if self.time_kernel < self.time_stride:
            raise ValueError(
                f"`time_kernel` is {self.time_kernel} and `time_stride` {self.time_stride}: frames "
                "between would be heard by nobody"
            )
        return self


_Four = tuple[
    Annotated[int, Field(ge=1, le=16)], Annotated[int, Field(ge=1, le=16)],
    Annotated[int, Field(ge=1, le=16)], Annotated[int, Field(ge=1, le=16)],
]  # fmt: skip


class BroadcastModel(SoundModel):
    """Broadcasted residual learning (Kim et al. 2021, BC-ResNet): convolutions over frequency on
    the whole map, and over time on its mean over frequency alone, added to all of it. No
    convolution pads time, so that it streams."""

    family: Literal["bc_resnet"]
    made_in = "edgedistill.models.bc_resnet"
    scale: float = Field(default=1.0, ge=0.25, le=16.0)
    """Of the widths 16, 8, 12, 16, 20 and 32; the paper's models are 1, 1.5, 2, 3, 6 and 8."""
    blocks: _Four = (2, 2, 4, 4)
    """In each of the four stages; the second and third halve the bands."""
    dilations: _Four = (1, 2, 4, 4)
    """Frames between those that a stage's convolutions over time see. The paper's 1, 2, 4, 8 see
    1.19 s at once, these 0.87 s; a window is longer."""
    time_stride: int = Field(default=1, ge=1, le=10)
    """Frames of 10 ms from one step to the next."""
    sub_bands: int = Field(default=5, ge=1, le=16)
    """Parts of the frequency axis, each with a normalization of its own (Chang et al. 2021); the
    bands are a multiple of eight times as many."""
    dropout: Share = 0.1
    """Share of the channels that a block leaves out while it is trained."""

    @model_validator(mode="after")
    def _bands_divide(self) -> BroadcastModel:
        if self.front_end.bands % (8 * self.sub_bands):
            raise ValueError(
                f"`front_end.bands` is {self.front_end.bands}, which three halvings do not divide "
                f"into {self.sub_bands} `sub_bands`; take a multiple of {8 * self.sub_bands}"
            )
        return self


class TransformerModel(SoundModel):
    """A transformer over the frames of a whole window (Berg et al. 2021, "Keyword Transformer"): a
    teacher, as it has no step. The defaults are its smallest, KWT-1."""

    family: Literal["keyword_transformer"]
    made_in = "edgedistill.models.keyword_transformer"
    width: int = Field(default=64, ge=8, le=4096)
    """Of each frame, 64 for each head."""
    layers: int = Field(default=12, ge=1, le=100)
    """Of attention and what follows it."""
    heads: int = Field(default=1, ge=1, le=64)
    """Of the attention; they divide the width."""
    frames: int = Field(default=1, ge=1, le=50)
    """Frames of 10 ms that one place takes together; the fewer places, the less there is to
    compute."""
    dropout: Share = 0.1
    """Share of the values that a layer leaves out while it is trained."""

    @model_validator(mode="after")
    def _heads_divide_the_width(self) -> TransformerModel:
        if self.width % self.heads:
            raise ValueError(f"`width: {self.width}` is no multiple of `heads: {self.heads}`")
        return self


SOUND_FAMILIES: list[type[ModelCommon]] = [DepthwiseModel, BroadcastModel, TransformerModel]
"""In the order in which the schema lists them."""
