"""The settings of each stage, and the losses that training stages mix."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, model_validator

from edgedistill.fields import (
    Epochs,
    LayerNames,
    Points,
    Rate,
    any_counts,
)
from edgedistill.losses.base import Stage
from edgedistill.losses.labels import Labels
from edgedistill.losses.peers import Peers
from edgedistill.recipe.answers import JudgeConfig, TeachConfig
from edgedistill.recipe.checks import (
    AuditConfig,
    BenchmarkConfig,
    ExportConfig,
    ListenConfig,
    VerifyConfig,
)
from edgedistill.recipe.losses import DISTILLATION, Loss, Losses
from edgedistill.recipe.models import Model
from edgedistill.target import Frozen

C = TypeVar("C", bound=Any)


class Training(Frozen):
    """One training run: a linear warm-up, then a cosine schedule (Loshchilov and Hutter 2017)."""

    epochs: Epochs = 10
    """Passes over the training images."""
    batch_size: int = Field(default=128, ge=2, le=65536)
    """Images in a step."""
    learning_rate: Rate = 0.1
    """The highest, at the end of the warm-up."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """Nesterov momentum, or AdamW."""
    weight_decay: float = Field(default=5e-4, ge=0.0, le=1e3)
    """Of weights of layers; biases and batch norm go without."""
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    """Of `sgd`."""
    warmup: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Share of the steps over which the learning rate rises."""
    clip: float | None = Field(default=5.0, gt=0.0, le=1e9)
    """Largest norm of the gradient."""
    ema: float | None = Field(default=None, gt=0.0, lt=1.0)
    """Decay of an exponential moving average of the weights, used in their place at the end."""
    freeze_batch_norm: bool = False
    """Batch norms keep, and train with, the statistics that a pretrained model came with, which are
    of far more images; what they scale and shift by is trained. For fine-tuning on few images, with
    a rate that is small. No matter to `quantize`, whose norms are folded away."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """`auto` takes bf16 where this processor multiplies it natively; depthwise convolutions stay in
    float32 there, which is faster. No matter to `quantize`."""
    checkpoint_minutes: float = Field(default=3.0, gt=0.0, le=1e6)
    """Between checkpoints, beside one at the end of each epoch."""


def _something_counts(config: C) -> C:
    """The config, if a loss of it has a weight: without, nothing would be learned."""
    if not any_counts(config.losses):
        raise ValueError("`losses`: at least one of a weight above 0 is needed")
    return config


def _only(config: C, stage: Stage, reason: str) -> C:
    """The config, if all its losses may stand in this stage."""
    for loss in config.losses:
        if stage not in loss.stages:
            raise ValueError(f"`losses`: `{loss.kind}` cannot be used here: {reason}")
    return config


class TeacherConfig(Frozen):
    """Training the teacher, where it is a torch model."""

    train: Training | None = None
    """Train or fine-tune the teacher on the labels first. Without it, it needs `weights`
    or `pretrained`."""
    losses: Losses = (Labels(kind="labels", smoothing=0.0),)
    """What it is trained on: `labels`, `exits`."""

    @model_validator(mode="after")
    def _learns_from_labels(self) -> TeacherConfig:
        if self.train is not None:
            _something_counts(self)
        return _only(self, "teacher", "the teacher has no teacher of its own")


class DistillConfig(Training):
    """Training the student."""

    losses: Losses = DISTILLATION
    """A weighted list; entries add up."""
    peers: Annotated[tuple[Model, ...], Field(max_length=32)] = ()
    """Models that train along with the student and learn from it in turn. Of those that are made
    like the student, the best on validation is kept; a larger one is a teacher that trains
    along."""
    peer_losses: Losses | None = None
    """What the peers learn from, where it is not what the student learns from; with labels alone
    they do not follow the student."""

    @property
    def learned_from(self) -> tuple[Loss, ...]:
        """The losses of the student and of its peers."""
        return (*self.losses, *(self.peer_losses or ()))

    @model_validator(mode="before")
    @classmethod
    def _is_not_searched(cls, given: Any) -> Any:
        if isinstance(given, dict) and "search" in given:
            raise ValueError(
                "`search` is gone: `edgedistill search RECIPE` looks for temperatures and weights"
            )
        return given

    @model_validator(mode="after")
    def _peers_are_heard(self) -> DistillConfig:
        _something_counts(self)
        if self.peer_losses and not any_counts(self.peer_losses):
            raise ValueError("`peer_losses`: at least one of a weight above 0 is needed")
        heard = any(isinstance(loss, Peers) for loss in self.losses)
        if heard and not self.peers:
            raise ValueError("the loss `peers` needs models that train along: give `peers`")
        if self.peers and not heard:
            raise ValueError("`peers` train along, but no loss is of the kind `peers`")
        return self


class PruneConfig(Training):
    """Structured pruning in rounds, each followed by recovery training from the teacher."""

    epochs: Epochs = 3
    """Of recovery training after the last round."""
    learning_rate: Rate = 0.02
    """Of the recovery training."""
    importance: Literal["magnitude", "taylor", "hessian"] = "taylor"
    """How a channel's worth is told: by its weights' size, by the change of the loss without it
    (Molchanov et al. 2019), or by that of second order (LeCun et al. 1989)."""
    macs: float | None = Field(default=None, gt=0.0, le=1e9)
    """Wanted multiply-accumulates of one inference, in millions; attention's products count."""
    padded_macs: float | None = Field(default=None, gt=0.0, le=1e9)
    """The same as the target's kernels compute them, which work in blocks of channels."""
    cost: float | None = Field(default=None, gt=0.0, le=1e12)
    """Wanted cost of one whole inference on the target's `device`, told from operators that were
    counted or timed there once: in millions of instructions where those are counted, else in
    milliseconds. LiteRT has to be the primary runtime. Counted are products, the operators beside
    them, which shrink with the layer before them, and what an inference costs beside its
    operators, which does not shrink."""
    params: float | None = Field(default=None, gt=0.0, le=1e9)
    """Wanted parameters, in thousands."""
    weights_kb: float | None = Field(default=None, gt=0.0, le=1e12)
    """Wanted size of the weights in a file of integers, in 1,000 bytes: one for each weight, four
    for each element of a bias or a norm. What the file holds beside them is not counted."""
    speedup: float | None = Field(default=None, gt=1.0, le=1e6)
    """Wanted ratio of multiply-accumulates, before to after."""
    rounds: int = Field(default=3, ge=1, le=1000)
    """Steps, at equal ratios, in which the cost goes down to the goal."""
    epochs_between: Epochs = 1.0
    """Recovery training after each round but the last, which gets `epochs`."""
    importance_samples: int = Field(default=2048, ge=16, le=10**9)
    """Training images that `taylor` and `hessian` look at."""
    round_to: int | None = Field(default=None, ge=1, le=1024)
    """Channel counts are a multiple of this; by default the target's."""
    max_drop: Points = 3.0
    """Points of validation quality that pruning may cost; past it, pruning is undone."""
    if_costlier: Literal["undo", "fail"] | None = None
    """What becomes of a pruned student that costs more on the target's device than it did unpruned,
    by the device's price list: as fewer channels may. By default nobody looks."""
    losses: Losses = DISTILLATION
    """Of the recovery training."""

    @model_validator(mode="after")
    def _has_one_goal(self) -> PruneConfig:
        names = ("macs", "padded_macs", "cost", "params", "weights_kb", "speedup")
        if all(getattr(self, name) is None for name in names):
            first = ", ".join(f"`{name}`" for name in names[:-1])
            raise ValueError(f"say how far to prune: {first} or `{names[-1]}`")
        return self

    @model_validator(mode="after")
    def _recovers_alone(self) -> PruneConfig:
        _something_counts(self)
        return _only(self, "prune", "the student recovers alone")


class QuantizeConfig(Training):
    """From float to int8. Always trained in float32."""

    method: Literal["auto", "qat", "ptq"] = "qat"
    """`qat`: train with rounded weights and activations; `ptq`: calibrate, without training;
    `auto`: `ptq`, and where that costs more validation quality than chance explains, `qat` too,
    of which the better ships."""
    epochs: Epochs = 2
    """Of `qat`."""
    learning_rate: Rate = 0.005
    """Of `qat`."""
    weight_decay: float = Field(default=0.0, ge=0.0, le=1e3)
    """Of `qat`."""
    warmup: float = Field(default=0.05, ge=0.0, lt=1.0)
    """Share of the steps over which the learning rate rises."""
    calibration_samples: int = Field(default=512, ge=8, le=10**9)
    """Training images that set the first ranges."""
    freeze_observers: float = Field(default=0.6, gt=0.0, le=1.0)
    """Share of the training after which ranges stand still. Batch norm is folded before."""
    keep_float: LayerNames = ()
    """Convolutions and linear layers computed in float, by name, as the sensitivity table names
    them, and modules with all that they compute, by their paths; a model may name more itself, as
    a front end of sound does. What they give is rounded still where a layer of integers reads
    it."""
    sensitivity_samples: int = Field(default=256, ge=0, le=10**9)
    """Validation images for the per-layer sensitivity table; 0 leaves it out."""
    float_above: float | None = Field(default=None, gt=0.0, le=1e6)
    """Leave a layer with weights in float if quantizing it alone costs more points of quality than
    this, by the sensitivity table."""
    mixed: bool = False
    """Where int8 costs more than `max_drop`: leave layers with weights in float until it holds,
    those first that give back most for their multiply-accumulates, and no more than are needed."""
    max_drop: Points = 3.0
    """Points of validation quality that quantization may cost before the report says so."""
    losses: Losses = DISTILLATION
    """Of `qat`."""

    @model_validator(mode="after")
    def _sees_what_it_decides_on(self) -> QuantizeConfig:
        for name in ("float_above", "mixed"):
            if getattr(self, name) and not self.sensitivity_samples:
                raise ValueError(f"`{name}` reads the sensitivity table: give it images")
        return self

    @model_validator(mode="after")
    def _looks_at_logits(self) -> QuantizeConfig:
        if self.method != "ptq":
            _something_counts(self)
        return _only(self, "quantize", "the quantized graph's layers have no names")


class Stages(Frozen):
    """Settings of each stage. Any may be left out."""

    teacher: TeacherConfig = TeacherConfig()
    """Training the teacher first."""
    teach: TeachConfig = TeachConfig()
    """Asking for the teacher's answers."""
    judge: JudgeConfig = JudgeConfig()
    """What becomes of answers that are not to be believed."""
    distill: DistillConfig = DistillConfig()
    """Training the student."""
    prune: PruneConfig | None = None
    """Cutting channels; none given: left out."""
    quantize: QuantizeConfig | None = QuantizeConfig()
    """int8; `null`: no int8 files."""
    export: ExportConfig = ExportConfig()
    """The files."""
    verify: VerifyConfig = VerifyConfig()
    """How closely files must follow the torch graph."""
    audit: AuditConfig = AuditConfig()
    """What is asked beyond accuracy."""
    listen: ListenConfig = ListenConfig()
    """How keywords are listened for in long audio; of `task: keywords`."""
    benchmark: BenchmarkConfig = BenchmarkConfig()
    """How latency and memory are measured."""


def unfit_for_labels(stages: Stages) -> str:
    """Why labels cannot stand in for the teacher as `judge` wants; empty where they can."""
    judge = stages.judge
    if "labels" not in (judge.wrong, judge.unsure, judge.disagreeing):
        return ""
    learning = {"distill": stages.distill, "prune": stages.prune, "quantize": stages.quantize}
    for name, stage in learning.items():
        losses = stage.losses if stage else ()
        if losses and not any(isinstance(x, Labels) and x.weight > 0 for x in losses):
            return (
                "`stages.judge` lets labels stand in for the teacher, but "
                f"`stages.{name}.losses` have none of the kind `labels`"
            )
    return ""
