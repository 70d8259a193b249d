"""What recordings become: windows of raw samples, and what is made beside the keywords' own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgedistill.fields import FilePath, Share
from edgedistill.target import Frozen

_Paths = Annotated[tuple[FilePath, ...], Field(max_length=1000)]
_Decibels = Annotated[float, Field(ge=-60.0, le=120.0)]

Cut = Literal["end", "middle", "spoken"]
"""Which part of a longer recording is the window."""


class SoundAugment(Frozen):
    """Random changes to training clips. Each is drawn from (seed, sample, view) alone, so a view
    can be drawn again at any time, by any process."""

    shift_ms: float = Field(default=100.0, ge=0.0, le=10_000.0)
    """Move the window by up to so much, earlier or later."""
    gain_db: float = Field(default=6.0, ge=0.0, le=60.0)
    """Make it louder or quieter by up to so much."""
    speed: float = Field(default=0.1, ge=0.0, le=0.5)
    """Play it faster or slower by up to this share, pitch included (Ko et al. 2015)."""
    noise: Share = 0.5
    """Share of the views that a stretch of `data.sound.noise` is mixed into, where that is given;
    never into the class `silence`."""
    snr_db: tuple[_Decibels, _Decibels] = (5.0, 20.0)
    """Least and most decibels of the clip above that noise."""
    time_mask_ms: float = Field(default=0.0, ge=0.0, le=10_000.0)
    """Silence a stretch of up to so much (SpecAugment, Park et al. 2019, on the samples)."""
    band_mask: float = Field(default=0.0, ge=0.0, le=0.9)
    """Take out a band of up to this share of the mel scale (the same)."""

    @model_validator(mode="after")
    def _least_is_below_most(self) -> SoundAugment:
        if self.snr_db[0] > self.snr_db[1]:
            raise ValueError(f"`snr_db: {list(self.snr_db)}`: the least comes first")
        return self


class Sound(Frozen):
    """Samples are sound: windows of one channel of raw samples in -1..1."""

    rate: int = Field(default=16_000, ge=4_000, le=192_000)
    """Samples a second that the models see; recordings of other rates are resampled."""
    seconds: float = Field(default=1.0, ge=0.05, le=60.0)
    """Length of the window that the models see."""
    cut: Cut = "spoken"
    """Which part of a longer clip that is: what ends shortly after most of it is `spoken`, its
    `end`, or its `middle`. A shorter clip is padded with silence before it; with `middle`, on
    both sides."""
    negatives: _Paths = ()
    """Recordings without any keyword: folders, parquet files or manifests. Cut into windows, they
    are the class `unknown`; a recording, or where speakers are named all of a speaker's, goes to
    one split."""
    unknown_per_clip: float = Field(default=2.0, gt=0.0, le=1e6)
    """In an epoch, windows of `negatives` for each other sample, at most; every epoch draws others.
    So words are heard often enough, however many hours there are without them."""
    noise: _Paths = ()
    """Recordings without speech, the same way: mixed into training clips, and the class `silence`,
    with quiet windows."""
    augment: SoundAugment = SoundAugment()
    """Of the training windows, for student and teacher alike."""

    @property
    def length(self) -> int:
        """Of the window, in samples."""
        return round(self.rate * self.seconds)
