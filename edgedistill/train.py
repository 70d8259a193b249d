"""The one training loop, used by every stage that trains."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedistill.data import open_split
from edgedistill.data.loading import batches
from edgedistill.distill.label_filter import open_label_filter
from edgedistill.distill.store import open_answers
from edgedistill.errors import UserError
from edgedistill.losses import needs_layers
from edgedistill.models import device_of
from edgedistill.predict import task_of
from edgedistill.recipe import Augment, Labels, Loss, Training
from edgedistill.tasks import TASKS, Head, Task
from edgedistill.tasks.labels import known

if TYPE_CHECKING:
    import torch

    from edgedistill.artifact import Artifact
    from edgedistill.data import Split
    from edgedistill.distill.label_filter import LabelFilter
    from edgedistill.distill.objective import Objective
    from edgedistill.distill.store import Answers


@dataclass(frozen=True)
class TrainingInputs:
    """What a training run learns from."""

    split: Split
    augment: Augment
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
    head: Head | None = None
    """From the outputs to what the losses compare, where these differ: in a retrieval, from
    embeddings (batch, dimensions) to how near each is to every caption (batch, captions)."""

    def __len__(self) -> int:
        return len(self.split) if self.only is None else len(self.only)

    def loss(
        self,
        objective: torch.nn.Module,
        ids: NDArray[np.int64],
        pixels: torch.Tensor,
        target: torch.Tensor,
        view: int,
    ) -> torch.Tensor:
        """What the objective makes of a batch as it looks in `view`, on the pixels' device."""
        import torch

        teacher = label_uses = None
        if self.answers is not None:
            teacher = torch.from_numpy(self.answers(ids, view)).to(pixels.device)
        if self.judgement is not None and teacher is not None:
            teacher = teacher / self.judgement.temperature
            label_uses = torch.from_numpy(self.judgement(ids, view)).to(pixels.device)
        value: torch.Tensor = objective(pixels, target, teacher, label_uses)
        return value

    def view(self, epoch: int) -> int:
        """Each epoch sees new views of the images, as long as there are answers for them."""
        return epoch if self.answers is None else epoch % self.answers.views

    def order(self, batch_size: int, epoch: int) -> list[NDArray[np.int64]]:
        """The samples of each batch of an epoch."""
        order = epoch_order(len(self), batch_size, self.seed, epoch)
        return order if self.only is None else [self.only[places] for places in order]

    def objective(
        self, model: torch.nn.Module, losses: Sequence[Loss], precision: str = "fp32"
    ) -> Objective:
        """The losses, bound to `model`. What they learn themselves starts from the seed."""
        import torch

        from edgedistill.distill.objective import Objective

        torch.manual_seed(self.seed)
        example = torch.from_numpy(self.split.pixels(np.arange(1)))
        teacher = self.teacher
        if teacher is not None:
            teacher = teacher.to(memory_format=torch.channels_last)
        weighed = self.judgement.weight if self.judgement else 1.0
        return Objective(losses, model, teacher, example, precision == "bf16", weighed,
                         self.task, self.head)  # fmt: skip


def open_training_inputs(
    inputs: dict[str, Artifact],
    losses: Sequence[Loss],
    augment: Augment,
    seed: int,
    workers: int | None,
) -> TrainingInputs:
    """What the artifacts of the stage `data` and, where `losses` need them, `teach` and `teacher`
    give to learn from."""
    answers = judgement = teacher = None
    if "teach" in inputs:
        answers = open_answers(inputs["teach"].path)
    if "judge" in inputs:
        judgement = open_label_filter(inputs["judge"].path)
    if needs_layers(losses):
        from edgedistill.models import load

        teacher = load(inputs["teacher"].path / "model")
    split = open_split(inputs["data"].path, "train")
    task = task_of(inputs)
    head = task.head() if "texts" in inputs else None
    # From labels alone, an image that nobody has labelled would be trained on for nothing.
    by_label = all(isinstance(loss, Labels) for loss in losses) and not known(split.labels).all()
    only = np.flatnonzero(known(split.labels)) if by_label else None
    return TrainingInputs(
        split, augment, seed, answers, judgement, teacher, workers, task, only, head
    )


def learning_rate(step: int, steps: int, config: Training) -> float:
    """Linear warm-up, then half a cosine down to zero (Loshchilov & Hutter 2017, SGDR)."""
    warm = config.warmup * steps
    if step < warm:
        return config.learning_rate * (step + 1) / (warm + 1)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


def train(
    objective: torch.nn.Module,
    training_inputs: TrainingInputs,
    config: Training,
    *,
    checkpoint: Path,
    tick: Callable[[float, float, str], None],
    deterministic: bool = False,
    on_step: Callable[[float], None] = lambda _: None,
    on_epoch: Callable[[int], None] | None = None,
) -> dict[str, float]:
    """Train in place whatever `objective` holds: called with pixels (batch, channels, height,
    width), labels (batch,), the teacher's logits (batch, classes) or None and how far to use them
    (batch,) or None, it gives the loss.

    A checkpoint at `checkpoint` is written each epoch and every `config.checkpoint_minutes`; where
    one exists the run goes on from it, to the same weights as an undisturbed run. `on_step` gets
    the share of the steps done before each step, `on_epoch` the number of each epoch after it.
    Batch norms end, and are seen by `on_epoch`, with statistics that fit the weights. Returns
    images_per_second, seconds and samples_seen.

    Raises UserError when the loss is no longer a number.
    """
    import torch
    from accelerate import Accelerator

    from edgedistill.checkpoint import Average, State

    torch.use_deterministic_algorithms(deterministic)
    torch.manual_seed(training_inputs.seed)
    accelerator = Accelerator()
    objective = objective.to(accelerator.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    wrapped, optimizer = accelerator.prepare(objective, _optimizer(objective, config))
    batch_size = min(config.batch_size, len(training_inputs))
    epoch_steps = len(training_inputs) // batch_size
    steps = max(1, round(config.epochs * epoch_steps))
    average = Average(objective, config.ema) if config.ema else None
    state = State(checkpoint, objective, optimizer, average)
    step, earlier = state.load()
    first, started = step, time.monotonic()
    saved = started
    wrapped.train()
    while step < steps:
        epoch, offset = divmod(step, epoch_steps)
        order = training_inputs.order(batch_size, epoch)[offset : offset + steps - step]
        share = [ids[accelerator.process_index :: accelerator.num_processes] for ids in order]
        for batch in batches(
            training_inputs.split,
            share,
            view=training_inputs.view(epoch),
            seed=training_inputs.seed,
            augment=training_inputs.augment,
            workers=training_inputs.workers,
        ):
            on_step(step / steps)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, steps, config)
            ids, pixels, target = batch
            pixels = pixels.to(accelerator.device, memory_format=torch.channels_last)
            target = target.to(accelerator.device)
            loss = training_inputs.loss(wrapped, ids.numpy(), pixels, target, epoch)
            optimizer.zero_grad()
            accelerator.backward(loss)
            if config.clip is not None:
                accelerator.clip_grad_norm_(wrapped.parameters(), config.clip)
            optimizer.step()
            if average is not None:
                average.update()
            step += 1
            if step % 10 == 0 or step == steps:
                speed = (step - first) * batch_size / (time.monotonic() - started)
                note = _note(loss.item(), step, steps, speed, (steps - step) * batch_size, config)
                tick(step * batch_size, steps * batch_size, note)
            if time.monotonic() - saved > 60 * config.checkpoint_minutes:
                state.save(step, earlier + time.monotonic() - started)
                saved = time.monotonic()
        state.save(step, earlier + time.monotonic() - started)
        saved = time.monotonic()
        if on_epoch is not None:
            _estimate_statistics(objective, training_inputs, batch_size)
            on_epoch(epoch)
    if average is not None:
        average.store()
    _estimate_statistics(objective, training_inputs, batch_size)
    objective.to("cpu")
    spent = time.monotonic() - started
    return {
        "images_per_second": (step - first) * batch_size / max(spent, 1e-9),
        "seconds": earlier + spent,
        "samples_seen": float(steps * batch_size),
    }


def _estimate_statistics(
    objective: torch.nn.Module, training_inputs: TrainingInputs, batch_size: int
) -> None:
    """Fit the batch norms' statistics to the weights, on images as the training saw them. The
    students are asked directly, so in float32, and no loss is computed."""
    import torch

    from edgedistill.batch_norm import IMAGES, estimate, stale
    from edgedistill.distill.objective import Objective

    asked = [each.student for each in objective.modules() if isinstance(each, Objective)]
    models = [model for model in asked if stale(model)]
    if not models:
        return
    order = training_inputs.order(batch_size, 0)[: math.ceil(IMAGES / batch_size)]
    device = device_of(objective)
    seen = batches(
        training_inputs.split,
        order,
        view=training_inputs.view(0),
        seed=training_inputs.seed,
        augment=training_inputs.augment,
        workers=training_inputs.workers,
    )
    estimate(
        models, (pixels.to(device, memory_format=torch.channels_last) for _, pixels, _ in seen)
    )


def _note(
    loss: float, step: int, steps: int, speed: float, images_left: int, config: Training
) -> str:
    """Words for the progress. Raises UserError: the loss is no number."""
    if not math.isfinite(loss):
        raise UserError(
            f"the loss became {loss} at step {step} of {steps}",
            f"lower the learning rate (now {config.learning_rate})",
        )
    minutes, seconds = divmod(round(images_left / speed), 60)
    return f"loss {loss:.3f}, {speed:.0f} images/s, {minutes}:{seconds:02d} left"


def epoch_order(samples: int, batch_size: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """The batches of one epoch, whole ones only: a batch of a few samples upsets batch norm."""
    order = np.random.default_rng([seed, epoch]).permutation(samples).astype(np.int64)
    count = samples // batch_size
    return np.split(order[: count * batch_size], count)


def _optimizer(model: torch.nn.Module, config: Training) -> torch.optim.Optimizer:
    """Weight decay falls on matrices and kernels only: biases and batch norm go without."""
    import torch

    kernels = [p for p in model.parameters() if p.requires_grad and p.ndim > 1]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": kernels, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=config.learning_rate)
    return torch.optim.SGD(
        groups, lr=config.learning_rate, momentum=config.momentum, nesterov=config.momentum > 0
    )
