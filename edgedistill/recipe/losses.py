"""What a student is trained on: a weighted list of losses."""

from __future__ import annotations

from typing import Annotated, Literal, Union

from pydantic import Field

from edgedistill.recipe.fields import LayerNames, Name, Share, Temperature, Weight
from edgedistill.target import Frozen


class LossCommon(Frozen):
    weight: Weight = 1.0
    """Share in the sum. A loss of weight 0 is not computed."""


class Labels(LossCommon):
    """The labels: cross entropy; binary cross entropy where any number of classes may be right;
    the squared error of a regression."""

    kind: Literal["labels"]
    smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Of a classification's labels."""


class SoftTargets(LossCommon):
    """KL divergence to the teacher at a temperature, times T^2 (Hinton et al. 2015); where any
    number of classes may be right, of each class's yes or no, the mean. In a regression the
    squared error to the teacher's values, which no temperature changes."""

    kind: Literal["soft_targets"]
    temperature: Temperature = 4.0
    """What logits are divided by: the higher, the more the unlikely classes count."""
    standardize: bool = False
    """Bring each sample's logits to mean 0 and deviation 1 first, on both sides, so that only
    their shape is copied (Sun et al. 2024)."""


class Decoupled(LossCommon):
    """Soft targets taken apart: how sure the teacher is of the label, and how it ranks the other
    classes, each with its own weight (Zhao et al. 2022, DKD)."""

    kind: Literal["decoupled"]
    temperature: Temperature = 4.0
    """As of `soft_targets`."""
    alpha: Weight = 1.0
    """Weight of the label's part."""
    beta: Weight = 8.0
    """Weight of the other classes' part."""


class Bounded(LossCommon):
    """Regression: the squared error to the labels, where the student is not yet better than the
    teacher by a margin (Chen et al. 2017)."""

    kind: Literal["bounded"]
    margin: float = Field(default=0.0, ge=0.0, le=1e12)
    """Of the squared error, summed over a sample's values."""


class Pair(Frozen):
    """Layers, by their names as `named_modules()` lists them, whose outputs are compared."""

    student: Name
    """The student's layer."""
    teacher: Name
    """The teacher's layer."""


class FeatureLoss(LossCommon):
    layers: Literal["auto"] | Annotated[tuple[Pair, ...], Field(min_length=1, max_length=1000)] = (
        "auto"
    )
    """`auto` pairs the last layer at each resolution that both models pass through; where they
    share none, layers at the same relative depth."""


class Hints(FeatureLoss):
    """Features through a learned 1x1 projection, thrown away afterwards (Romero et al. 2015,
    FitNets)."""

    kind: Literal["hints"]


class Attention(FeatureLoss):
    """Where each layer looks: its squared activations over the channels (Zagoruyko and Komodakis
    2017)."""

    kind: Literal["attention"]


class RelationLoss(LossCommon):
    of: Literal["embedding", "logits"] = "embedding"
    """What is compared: what enters the last linear layer, or the logits. Stored answers hold
    only the latter; for embeddings the teacher runs along."""


class Relations(RelationLoss):
    """Distances and angles between the samples of a batch (Park et al. 2019, RKD)."""

    kind: Literal["relations"]
    distance: Weight = 1.0
    """Weight of the distances."""
    angle: Weight = 2.0
    """Weight of the angles."""


class Similarity(RelationLoss):
    """Which samples of a batch are alike (Tung and Mori 2019)."""

    kind: Literal["similarity"]


class Exits(LossCommon):
    """Self-distillation: classifiers on the student's shallower layers learn from the labels, from
    its own last answer and, through a projection, from its last features; thrown away afterwards
    (Zhang et al. 2019, "Be Your Own Teacher")."""

    kind: Literal["exits"]
    layers: Literal["auto"] | Annotated[LayerNames, Field(min_length=1)] = "auto"
    """`auto`: the last layer at each resolution but the final one."""
    temperature: Temperature = 3.0
    """As of `soft_targets`."""
    imitation: Share = 0.3
    """Share of the last answer, against the labels, in what an exit learns."""
    features: Weight = 0.03
    """Weight of the distance to the last features."""


class Peers(LossCommon):
    """KL divergence to each peer that trains along, at a temperature (Zhang et al. 2018, "Deep
    Mutual Learning"). Needs `stages.distill.peers`."""

    kind: Literal["peers"]
    temperature: Temperature = 1.0
    """As of `soft_targets`."""


Loss = Annotated[
    Union[
        Labels, SoftTargets, Decoupled, Bounded, Hints, Attention, Relations, Similarity, Exits,
        Peers,
    ],
    Field(discriminator="kind"),
]  # fmt: skip
Losses = Annotated[tuple[Loss, ...], Field(max_length=100)]
DISTILLATION: tuple[Loss, ...] = (
    SoftTargets(kind="soft_targets", weight=0.9),
    Labels(kind="labels", weight=0.1),
)
