"""What a training run learns from: samples, labels, a teacher's answers, or the teacher itself."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data import View, open_split
from edgedistill.data.loading import batches, epoch_order
from edgedistill.distill.label_filter import open_label_filter
from edgedistill.distill.store import open_answers
from edgedistill.losses import needs_layers
from edgedistill.predict import placed, task_of
from edgedistill.recipe import Changes, Labels, Loss
from edgedistill.records import DataRecord, SoundForm
from edgedistill.signature import image_size
from edgedistill.tasks import TASKS, Head, Task
from edgedistill.tasks.labels import known

if TYPE_CHECKING:
    import torch

    from edgedistill.artifact import Artifact
    from edgedistill.data import Split
    from edgedistill.data.loading import Batch
    from edgedistill.distill.label_filter import LabelFilter
    from edgedistill.distill.objective import Objective
    from edgedistill.distill.store import Answers


@dataclass(frozen=True)
class TrainingBatch:
    """A batch on the device that trains."""

    ids: NDArray[np.int64]
    """(batch,), the samples' numbers in their split."""
    inputs: tuple[torch.Tensor, ...]
    """What the model is called with."""
    target: torch.Tensor
    """Labels (batch,), or values (batch, values); of mixed samples the labels' shares (batch,
    classes)."""
    shown: tuple[torch.Tensor, ...] | None = None
    """What the teacher that runs along is called with, where it sees something else."""


@dataclass(frozen=True)
class TrainingInputs:
    """What a training run learns from."""

    split: Split
    augment: Changes
    seed: int
    answers: Answers | None = None
    judgement: LabelFilter | None = None
    """How far each of the answers is to be believed."""
    teacher: torch.nn.Module | None = None
    """The teacher itself, where a loss looks into it while it runs."""
    workers: int | None = None
    task: Task = TASKS["classification"]
    only: NDArray[np.int64] | None = None
    """The samples that there is something to learn from, where these are not all."""
    plenty: NDArray[np.int64] | None = None
    """Further samples, of which an epoch takes `drawn`, each time others."""
    drawn: int = 0
    seen_by_teacher: Split | None = None
    """The same samples as a teacher that runs along sees them, where it sees something else."""
    head: Head | None = None
    """From the outputs to what the losses compare, where these differ: in a retrieval, from
    embeddings (batch, dimensions) to how near each is to every caption (batch, captions)."""
    names: int = 0
    """Of labels: classes, or values."""

    def __len__(self) -> int:
        """Samples in an epoch."""
        return (len(self.split) if self.only is None else len(self.only)) + self.drawn

    def loss(
        self,
        objective: torch.nn.Module,
        batch: TrainingBatch,
        view: int,
    ) -> torch.Tensor:
        """What the objective makes of a batch as it looks in `view`, a scalar, on the batch's
        device."""
        import torch

        teacher = label_uses = None
        if self.answers is not None:
            teacher = torch.from_numpy(self.answers(batch.ids, view)).to(batch.target.device)
        if self.judgement is not None and teacher is not None:
            teacher = teacher / self.judgement.temperature
            label_uses = torch.from_numpy(self.judgement(batch.ids, view)).to(batch.target.device)
        value: torch.Tensor = objective(
            batch.inputs, batch.target, teacher, label_uses, batch.shown
        )
        return value

    def batches(
        self, order: Sequence[NDArray[np.int64]], view: int, device: torch.device
    ) -> Iterator[TrainingBatch]:
        """The samples of each array of ids (batch,) in `order` as they look in `view`, on the
        device."""
        for (ids, inputs, target), shown in zip(
            self._looks(self.split, order, view), self._shown(order, view), strict=False
        ):
            yield TrainingBatch(
                ids.numpy(),
                tuple(placed(each, device) for each in inputs),
                self._target(ids.numpy(), target, view).to(device),
                shown and tuple(placed(each, device) for each in shown),
            )

    def _target(self, ids: NDArray[np.int64], target: torch.Tensor, view: int) -> torch.Tensor:
        import torch

        mix = self.split.mix(ids, View(self.augment, self.seed, view))
        if mix is None:
            return target
        labels = self.split.labels
        return torch.from_numpy(
            self.task.labels.mixed(labels[ids], labels[mix.others], mix.shares, self.names)
        )

    def _looks(
        self, split: Split, order: Sequence[NDArray[np.int64]], view: int
    ) -> Iterator[Batch]:
        return batches(split, order, view, self.seed, self.augment, self.workers)

    def _shown(
        self, order: Sequence[NDArray[np.int64]], view: int
    ) -> Iterator[tuple[torch.Tensor, ...] | None]:
        if self.seen_by_teacher is None:
            return itertools.repeat(None)
        return (inputs for _, inputs, _ in self._looks(self.seen_by_teacher, order, view))

    def view(self, epoch: int) -> int:
        """Each epoch sees new views of the images, as long as there are answers for them."""
        return epoch if self.answers is None else epoch % self.answers.views

    def order(self, batch_size: int, epoch: int) -> list[NDArray[np.int64]]:
        """The samples of each batch of an epoch, (batch,) each."""
        order = epoch_order(len(self), batch_size, self.seed, epoch)
        if self.only is None:
            return order
        samples = self.only
        if self.plenty is not None:
            random = np.random.default_rng([self.seed, epoch, 1])
            drawn = random.choice(self.plenty, self.drawn, replace=False)
            samples = np.concatenate([samples, drawn])
        return [samples[places] for places in order]

    def objective(
        self, model: torch.nn.Module, losses: Sequence[Loss], precision: str = "fp32"
    ) -> Objective:
        """The losses, bound to `model`. What they learn themselves starts from the seed."""
        import torch

        from edgedistill.distill.objective import Objective

        torch.manual_seed(self.seed)
        first = np.arange(1)
        shown = None if self.seen_by_teacher is None else _tensors(self.seen_by_teacher, first)
        teacher = self.teacher
        if teacher is not None:
            teacher = teacher.to(memory_format=torch.channels_last)
        weighed = self.judgement.weight if self.judgement else 1.0
        return Objective(
            losses, model, teacher, _tensors(self.split, first), precision == "bf16", weighed,
            self.task, self.head, shown,
        )  # fmt: skip


def open_training_inputs(
    inputs: dict[str, Artifact],
    losses: Sequence[Loss],
    augment: Changes,
    seed: int,
    workers: int | None,
    size: tuple[int, int] | None = None,
) -> TrainingInputs:
    """What the artifacts of the stage `data` and, where `losses` need them, `teach` and `teacher`
    give to learn from.

    size: height and width that the learner sees, where these are not the data's.
    """
    answers = judgement = teacher = seen_by_teacher = None
    split = open_split(inputs["data"].path, "train", size)
    if "teach" in inputs:
        answers = open_answers(inputs["teach"].path)
    if "judge" in inputs:
        judgement = open_label_filter(inputs["judge"].path)
    if needs_layers(losses):
        from edgedistill.models import inputs_of, load

        folder = inputs["teacher"].path / "model"
        teacher, shown = load(folder), image_size(inputs_of(folder))
        if shown != image_size(DataRecord.read(inputs["data"]).inputs_at(size)):
            seen_by_teacher = open_split(inputs["data"].path, "train", shown)
    task = task_of(inputs)
    head = task.head() if "texts" in inputs else None
    # From labels alone, an image that nobody has labelled would be trained on for nothing.
    by_label = all(isinstance(loss, Labels) for loss in losses) and not known(split.labels).all()
    only = np.flatnonzero(known(split.labels)) if by_label else None
    only, plenty, drawn = parted(split.labels, only, DataRecord.read(inputs["data"]).sound)
    return TrainingInputs(
        split,
        augment,
        seed,
        answers,
        judgement,
        teacher,
        workers,
        task,
        only,
        plenty,
        drawn,
        seen_by_teacher,
        head,
        len(DataRecord.read(inputs["data"]).classes),
    )


def parted(
    labels: NDArray[np.integer[Any]], only: NDArray[np.int64] | None, sound: SoundForm | None
) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None, int]:
    """(what every epoch takes, None for all; what it draws from; how many) of samples with these
    labels: of sound without a keyword there may be hours beside a few minutes of words."""
    if sound is None or sound.unknown is None:
        return only, None, 0
    samples = np.arange(len(labels)) if only is None else only
    unknown = labels[samples] == sound.unknown
    drawn = round(sound.unknown_per_clip * np.count_nonzero(~unknown))
    if drawn >= np.count_nonzero(unknown):
        return only, None, 0
    return samples[~unknown], samples[unknown], drawn


def _tensors(split: Split, ids: NDArray[np.int64]) -> tuple[torch.Tensor, ...]:
    import torch

    return tuple(map(torch.from_numpy, split.inputs(ids).values()))
