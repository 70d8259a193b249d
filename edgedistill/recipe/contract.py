"""What the result is promised to be."""

from __future__ import annotations

from pydantic import Field

from edgedistill.fields import Points, Share
from edgedistill.target import Frozen


class Contract(Frozen):
    """What the result must keep. Unmet: exit code 1. Figures are the primary runtime's."""

    max_drop: Points | None = None
    """Points of quality (the task's metric on the test set, in percent) below the teacher."""
    min_retention: float | None = Field(default=None, gt=0.0, le=1.0)
    """Share of the teacher's quality kept."""
    max_size_kb: float | None = Field(default=None, gt=0.0, le=1e12)
    """Of the file, in 1,000 bytes."""
    max_macs: float | None = Field(default=None, gt=0.0, le=1e12)
    """Millions of multiply-accumulates; attention's products count."""
    max_padded_macs: float | None = Field(default=None, gt=0.0, le=1e12)
    """The same as the target's kernels compute them, which work in blocks of channels."""
    max_latency_ms: float | None = Field(default=None, gt=0.0, le=1e9)
    """Median on the device measured; `not measured` where the target itself was not."""
    max_memory_mb: float | None = Field(default=None, gt=0.0, le=1e9)
    """What the model adds at its peak to a process with the runtime loaded, in 10^6 bytes; `not
    measured` where the target itself was not."""
    max_stage_cost: float | None = Field(default=None, gt=0.0, le=1e6)
    """What an inference may take on the device measured after a stage, as a share of what it took
    before: int8 against float in the same runtime, pruned against unpruned. 1.05 leaves room for
    noise; `not measured` where the target itself was not."""
    min_worst_class: float | None = Field(default=None, gt=0.0, le=1.0)
    """Share of the teacher's accuracy kept on the class that lost most."""
    max_calibration_error: float | None = Field(default=None, ge=0.0, le=100.0)
    """Expected calibration error on the test set, in percent."""
    max_copied_errors: Share | None = None
    """Share of the teacher's errors that the student makes in the same way."""
    min_robustness: float | None = Field(default=None, gt=0.0, le=1.0)
    """Accuracy on samples made worse, the mean over all kinds and strengths, as a share of that on
    the same samples as they are."""
    max_misses: float | None = Field(default=None, ge=0.0, le=100.0)
    """Keywords that are not heard in the test set's long audio, in percent (`task: keywords`)."""
    max_false_accepts_per_hour: float | None = Field(default=None, ge=0.0, le=1e6)
    """Detections an hour there of what is not said. The thresholds are chosen on validation audio
    so that they keep it there."""
    max_hop_ms: float | None = Field(default=None, gt=0.0, le=1e9)
    """Median time of one step of a stream on the device measured; `not measured` where the target
    itself was not."""
