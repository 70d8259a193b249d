"""What a task is: all that depends on the kind of question that a model answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from edgedistill.artifact import Artifact, JsonValue
from edgedistill.tasks.labels import LabelForm, OneClass

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[Any]
Head = Callable[["Tensor"], "Tensor"]
"""A model's outputs to what losses compare, with gradients."""


class Task:
    """One task. A subclass gives what has no default here, and what differs.

    Outputs are (samples, values), float32; labels as `labels` has them.
    """

    name: ClassVar[str]
    metric: ClassVar[str]
    """What its quality is called."""
    labels: ClassVar[LabelForm] = OneClass()
    fewest_names: ClassVar[int] = 1
    """Classes, or values, without which there is no question."""
    loss_options: ClassVar[frozenset[str]] = frozenset()
    """Of what only some tasks know (see `LossCommon.option`), what goes with this one."""
    audited: ClassVar[bool] = False
    """Whether an answer is one class with a probability, right or wrong: only then are a teacher's
    errors judged, a student audited, and unsure answers routed to the teacher."""
    decides: ClassVar[bool] = True
    """Whether an answer names one label as the likeliest."""
    mixes: ClassVar[bool] = False
    """Whether two images in one have a label: both of theirs, each by its share."""
    listens: ClassVar[bool] = False
    """Whether samples are sound whose classes are to be heard in a stream of it, without end."""
    by_texts: ClassVar[bool] = False
    """Whether outputs are places in a space, which are compared with those that the teacher gives
    the labels' captions. Otherwise there is an output for each label."""

    # What its quality is.

    def quality(self, outputs: Array, labels: Array) -> float:
        """Of outputs (samples, values) against labels, in percent, 100 at best; unknown labels do
        not count."""
        raise NotImplementedError

    def constant(self, labels: Array) -> float:
        """The most quality, by the labels alone, of an answer that is the same for every sample."""
        raise NotImplementedError

    def further(self, outputs: Array, labels: Array) -> dict[str, float]:
        """More figures of outputs (samples, values) against labels, in percent."""
        return {}

    agreement: Callable[[Array, Array], float] | None = None
    """(outputs, reference) to the share of the samples on which they decide alike; None where
    nothing is decided."""
    agreement_called: ClassVar[str] = "top-1 agreement"

    # How an app reads its outputs.

    def scores(self, outputs: Array) -> Array:
        """(samples, labels), float64: probabilities, or the values themselves."""
        raise NotImplementedError

    def reading(self, temperature: float) -> str:
        """The same in words for whoever writes an app; temperature: the bundle's."""
        raise NotImplementedError

    # What it is trained on.

    def label_loss(self, outputs: Tensor, target: Tensor, smoothing: float) -> Tensor:
        """(batch,): outputs (batch, values) against labels; nothing where a label is unknown."""
        raise NotImplementedError

    def teacher_loss(
        self, outputs: Tensor, teacher: Tensor, temperature: float, standardize: bool
    ) -> Tensor:
        """(batch,): outputs (batch, values) against the teacher's."""
        raise NotImplementedError

    def head(self) -> Head | None:
        """What comes between a model's outputs and the losses; None for nothing."""
        return None

    def teacher_head(self, module: Any, captions: Sequence[str]) -> Head | None:
        """The same while a teacher of ours is trained, `module`."""
        return None

    # What it needs of the teacher beside answers, and what of that a bundle carries.

    def with_teacher(self, teacher: Any, captions: Sequence[str], folder: Path) -> Task:
        """The task as this teacher makes it; what is needed later is written into `folder`."""
        return self

    def of_teacher(self, artifact: Artifact) -> Task:
        """The task as `with_teacher` left it in the artifact of the stage `teacher`."""
        return self

    def carried(self, teacher: Artifact) -> dict[str, Path]:
        """Files of the teacher's artifact that a bundle needs, by their names there."""
        return {}

    def described(self, teacher: Artifact) -> dict[str, JsonValue] | None:
        """What a bundle's manifest says of these, under `texts`."""
        return None

    def of_bundle(self, described: Any, array: Callable[[str, int], Array]) -> Task:
        """The task with what a bundle carries; array: reads a file of it, of so many dimensions."""
        return self
