"""Look for the temperature and the weights of the losses on validation, with short trials."""

from __future__ import annotations

import math
from typing import Any

from edgedistill.artifact import Artifact, JsonObject
from edgedistill.distill.search import Found, changed
from edgedistill.errors import UserError
from edgedistill.models import build
from edgedistill.predict import state_of_model, task_of
from edgedistill.recipe import Changes, DistillConfig, Model, SearchConfig
from edgedistill.records import DataRecord, SearchPoint, SearchRecord, Trial
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.train import train
from edgedistill.training_inputs import TrainingInputs, open_training_inputs


class Config(Frozen):
    """What the search depends on."""

    search: SearchConfig
    model: Model
    fingerprint: str
    peers: tuple[str, ...]
    """Fingerprints of those that train along."""
    train: DistillConfig
    augment: Changes
    workers: int | None


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves `search.json`: the trials, and the best temperature and share."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    training_inputs = open_training_inputs(
        inputs, config.train.losses, config.augment, context.seed, config.workers
    )
    journal = optuna.storages.journal.JournalFileBackend(str(context.checkpoints / "trials.log"))
    study = optuna.create_study(
        study_name="search", storage=optuna.storages.JournalStorage(journal), load_if_exists=True,
        direction="maximize", pruner=optuna.pruners.MedianPruner(n_startup_trials=3),
    )  # fmt: skip
    # A search that goes on must not draw what it drew before.
    study.sampler = optuna.samplers.TPESampler(seed=context.seed + len(study.trials))
    ended = optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED
    if not any(trial.state in ended for trial in study.trials):
        # What the recipe says is the first to be tried, so that the search never loses to it.
        study.enqueue_trial(Found.of(config.train.losses).values())
    while (done := sum(trial.state in ended for trial in study.trials)) < config.search.trials:
        context.reporter.tick("search", done, config.search.trials, "")
        study.optimize(
            lambda trial: _trial(trial, config, training_inputs, inputs, context), n_trials=1
        )
    if not any(trial.state == optuna.trial.TrialState.COMPLETE for trial in study.trials):
        raise UserError(
            "search: no trial came to a quality on validation that is a number",
            "is there enough validation data? see `data.validation`",
        )
    best = Found(**study.best_params)
    trials = tuple(
        Trial(
            **trial.params,
            number=trial.number,
            state=trial.state.name.lower(),
            validation_quality=trial.value,
            curve=tuple(trial.intermediate_values.values()),
        )
        for trial in study.trials
        if trial.state in ended
    )
    SearchRecord(SearchPoint(best.temperature, best.share), trials).write(context.scratch)
    context.reporter.say(
        f"search: temperature {best.temperature:.2f} and a share of {best.share:.2f} for the "
        f"teacher, {study.best_value:.2f} % on validation after {config.search.epochs} epochs"
    )
    return {"best": best.values(), "trials": len(trials), "validation_quality": study.best_value}


def _trial(
    trial: Any,
    config: Config,
    training_inputs: TrainingInputs,
    inputs: dict[str, Artifact],
    context: Context,
) -> float:
    """A short training with the trial's values; its accuracy on validation, in percent."""
    import optuna
    import torch

    wanted = config.search
    found = Found(
        temperature=trial.suggest_float("temperature", *wanted.temperature, log=True),
        share=trial.suggest_float("share", *wanted.share),
    )
    data = DataRecord.read(inputs["data"])
    torch.manual_seed(context.seed)
    model = build(config.model, len(data.classes), data.inputs)
    losses = changed(config.train.losses, found)
    objective = training_inputs.objective(model, losses, config.train.precision)
    settings = config.train.model_copy(update={"epochs": wanted.epochs})
    checkpoint = context.checkpoints / f"trial{trial.number}.safetensors"

    def judge(epoch: int) -> None:
        score = _score(model, inputs)
        trial.report(score, epoch)
        if trial.should_prune() or math.isnan(score):
            raise optuna.TrialPruned

    try:
        train(
            objective, training_inputs, settings, checkpoint=checkpoint, on_epoch=judge,
            tick=lambda done, total, note: context.reporter.tick(
                f"search, trial {trial.number + 1} of {wanted.trials}", done, total, note
            ),
            deterministic=context.deterministic,
        )  # fmt: skip
    finally:
        objective.close()
        checkpoint.unlink(missing_ok=True)
    return _score(model, inputs)


def _score(model: Any, inputs: dict[str, Artifact]) -> float:
    score = state_of_model(model, inputs["data"], task_of(inputs)).validation_quality
    model.train()
    return score
