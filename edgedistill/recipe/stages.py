"""The settings of each stage, and the losses that training stages mix."""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import Field, model_validator

from edgedistill.target import Frozen, Precision


class SoftTargets(Frozen):
    """KL divergence to the teacher at a temperature, times T^2 (Hinton et al. 2015)."""

    kind: Literal["soft_targets"]
    weight: float = Field(default=1.0, ge=0.0)
    temperature: float = Field(default=4.0, gt=0.0)


class Labels(Frozen):
    """Cross entropy with the labels."""

    kind: Literal["labels"]
    weight: float = Field(default=1.0, ge=0.0)
    smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)


Loss = Annotated[Union[SoftTargets, Labels], Field(discriminator="kind")]
DISTILLATION: tuple[Loss, ...] = (
    SoftTargets(kind="soft_targets", weight=0.9),
    Labels(kind="labels", weight=0.1),
)


class Training(Frozen):
    """One training run: stochastic gradient descent, cosine schedule with a linear warm-up."""

    epochs: float = Field(default=10, gt=0)
    """Passes over the training images."""
    batch_size: int = Field(default=128, ge=2)
    learning_rate: float = Field(default=0.1, gt=0.0)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    weight_decay: float = Field(default=5e-4, ge=0.0)
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    warmup: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of the steps over which the learning rate rises."""
    clip: float | None = Field(default=5.0, gt=0.0)
    """Largest norm of the gradient."""
    ema: float | None = Field(default=None, gt=0.0, lt=1.0)
    """Decay of an exponential moving average of the weights, used in their place at the end."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto` takes bf16 where this processor multiplies it natively."""
    checkpoint_minutes: float = Field(default=3.0, gt=0.0)


class TeacherConfig(Frozen):
    train: Training | None = None
    """Train or fine-tune the teacher on the labels first. Without it, weights must be given."""
    losses: tuple[Loss, ...] = (Labels(kind="labels", smoothing=0.0),)


class TeachConfig(Frozen):
    views: int = Field(default=4, ge=1)
    """Augmented versions of each image that the teacher answers for; epoch e trains on view
    e mod `views`."""
    batch_size: int = Field(default=256, ge=1)
    precision: Literal["auto", "fp32", "bf16"] = "auto"


class DistillConfig(Training):
    losses: tuple[Loss, ...] = DISTILLATION


class PruneConfig(Training):
    """Structured pruning in rounds, each followed by recovery training from the teacher."""

    epochs: float = Field(default=3, gt=0)
    learning_rate: float = Field(default=0.02, gt=0.0)
    importance: Literal["magnitude", "taylor", "hessian"] = "taylor"
    macs: float | None = Field(default=None, gt=0)
    """Wanted multiply-accumulates of one inference, in millions."""
    params: float | None = Field(default=None, gt=0)
    """Wanted parameters, in thousands."""
    speedup: float | None = Field(default=None, gt=1.0)
    """Wanted ratio of multiply-accumulates, before to after."""
    rounds: int = Field(default=3, ge=1)
    """Steps, at equal ratios, in which the cost goes down to the goal."""
    epochs_between: float = Field(default=1.0, gt=0)
    """Recovery training after each round but the last, which gets `epochs`."""
    importance_samples: int = Field(default=2048, ge=16)
    round_to: int | None = Field(default=None, ge=1)
    """Channel counts are a multiple of this; by default the target's."""
    max_drop: float = Field(default=3.0, ge=0.0)
    """Points of validation accuracy that pruning may cost; past it, pruning is undone."""
    losses: tuple[Loss, ...] = DISTILLATION

    @model_validator(mode="after")
    def _has_one_goal(self) -> PruneConfig:
        if self.macs is None and self.params is None and self.speedup is None:
            raise ValueError("say how far to prune: `macs`, `params` or `speedup`")
        return self


class QuantizeConfig(Training):
    method: Literal["qat", "ptq"] = "qat"
    epochs: float = Field(default=2, gt=0)
    learning_rate: float = Field(default=0.005, gt=0.0)
    weight_decay: float = Field(default=0.0, ge=0.0)
    warmup: float = Field(default=0.05, ge=0.0, lt=1.0)
    calibration_samples: int = Field(default=512, ge=8)
    """Training images that set the first ranges."""
    freeze_observers: float = Field(default=0.6, gt=0.0, le=1.0)
    """Share of the training after which ranges stand still. Batch norm is folded before."""
    keep_float: tuple[str, ...] = ()
    """Layers left in float, by name, as `quantize`'s sensitivity table names them."""
    sensitivity_samples: int = Field(default=256, ge=0)
    """Validation images for the per-layer sensitivity table; 0 leaves it out."""
    float_above: float | None = Field(default=None, gt=0.0)
    """Leave a layer in float if quantizing it alone costs more points of accuracy than this."""
    max_drop: float = Field(default=3.0, ge=0.0)
    """Points of validation accuracy that quantization may cost before the report says so."""
    losses: tuple[Loss, ...] = DISTILLATION


class ExportConfig(Frozen):
    precisions: tuple[Precision, ...] | None = None
    """By default the target's."""


class VerifyConfig(Frozen):
    """How closely each file must follow the torch graph."""

    agreement: float = Field(default=0.995, ge=0.0, le=1.0)
    """Share of the test set on which top-1 must agree."""
    within_step: float = Field(default=0.99, ge=0.0, le=1.0)
    """int8: share of output values within one quantization step."""
    within_step_litert: float = Field(default=0.95, ge=0.0, le=1.0)
    """The same for LiteRT, whose fixed-point rounding adds up with depth."""
    float_tolerance: float = Field(default=1e-3, gt=0.0)
    """fp32: largest difference of an output, relative to the outputs' range."""
    half_tolerance: float = Field(default=2e-2, gt=0.0)
    """fp16: the same."""
    accuracy: float = Field(default=0.3, ge=0.0)
    """int8: points of accuracy by which a runtime may differ from the torch graph."""
    layer_samples: int = Field(default=16, ge=1)
    """Images for the layer-by-layer comparison."""


class BenchmarkConfig(Frozen):
    runs: int = Field(default=200, ge=10)
    seconds: float = Field(default=5.0, gt=0.0)
    """Measured runs of each file; fewer where `seconds` are over before."""
    warmup: int = Field(default=10, ge=0)


class Stages(Frozen):
    teacher: TeacherConfig = TeacherConfig()
    teach: TeachConfig = TeachConfig()
    distill: DistillConfig = DistillConfig()
    prune: PruneConfig | None = None
    quantize: QuantizeConfig | None = QuantizeConfig()
    export: ExportConfig = ExportConfig()
    verify: VerifyConfig = VerifyConfig()
    benchmark: BenchmarkConfig = BenchmarkConfig()
