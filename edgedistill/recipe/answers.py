"""The settings of what the teacher is asked, and of which answers are believed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgedistill.fields import (
    Share,
)
from edgedistill.target import Frozen


class TeachConfig(Frozen):
    """What the teacher is asked, and what is kept of its answers."""

    views: int = Field(default=4, ge=1, le=10_000)
    """Augmented versions of each image that the teacher answers for; epoch e trains on view
    e mod `views`."""
    batch_size: int = Field(default=256, ge=1, le=65536)
    """Images that the teacher is shown at once."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of a torch teacher; `auto` takes bf16 where this processor multiplies it natively."""
    keep: Literal["full", "half", "top_k"] = "full"
    """Of each answer: all logits in float32 or float16, or the likeliest classes only."""
    top_k: int = Field(default=5, ge=1, le=100_000)
    """How many classes `keep: top_k` keeps; what is left over is spread over the others."""


Action = Literal["keep", "weigh", "labels", "drop"]


class JudgeConfig(Frozen):
    """What becomes of training samples on which the teacher is not to be believed: `keep`;
    `weigh`, count the teacher less; `labels`, learn from the label in its place; `drop`."""

    wrong: Action = "keep"
    """Where its answer is not the label."""
    unsure: Action = "keep"
    """Where its two likeliest classes are close."""
    disagreeing: Action = "keep"
    """Where not all teachers of an ensemble vote for its answer."""
    margin: float = Field(default=0.1, gt=0.0, lt=1.0)
    """Difference of the two likeliest classes' probabilities below which it is unsure."""
    weight: Share = 0.3
    """How far the teacher counts where its answers are weighed."""
    calibrate: bool = False
    """Divide its logits by the temperature that fits them to the validation labels (Guo et al.
    2017). Of use only if it was not trained on those images."""

    @property
    def acts(self) -> bool:
        """Whether students see anything of it."""
        kept = self.wrong == self.unsure == self.disagreeing == "keep"
        return self.calibrate or not kept
