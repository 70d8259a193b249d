"""Turn the student into one graph with quantize and dequantize nodes, by training or after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedistill import program_file
from edgedistill.artifact import Artifact, JsonObject
from edgedistill.data import Split, open_split
from edgedistill.models import load
from edgedistill.predict import logits_of, task_of, torch_predictor
from edgedistill.program import MAIN
from edgedistill.recipe import Changes, QuantizeConfig
from edgedistill.records import (
    DataRecord,
    Fidelity,
    LayerSensitivity,
    Quantization,
    QuantizeRecord,
)
from edgedistill.stages import Context
from edgedistill.target import Frozen, Scheme
from edgedistill.train import train
from edgedistill.training_inputs import open_training_inputs

if TYPE_CHECKING:
    from torch import Tensor

    from edgedistill.compress.quantize import Prepared
    from edgedistill.program import Program


_COMPARED = 128
"""Held-out images on which int8 answers are held against float ones."""


class Config(Frozen):
    """What the programs depend on."""

    quantize: QuantizeConfig | None
    scheme: Scheme
    augment: Changes
    workers: int | None


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves each of the student's programs, folded, in float and, where wanted, in int8, and
    `quantize.json`."""
    from edgedistill.compress.fold import fold
    from edgedistill.models.programs import float_parts, programs

    data = DataRecord.read(inputs["data"])
    student = load((inputs.get("prune") or inputs["distill"]).path / "model")
    folded = {
        name: _keep(fold(module, signature), name, "float", context)
        for name, (module, signature) in programs(student, data.inputs).items()
    }
    metrics = {"float_validation_quality": _validate(folded[MAIN], inputs)}
    if config.quantize is None:
        QuantizeRecord(None).write(context.scratch)
        return metrics
    kept = _kept(config.quantize, folded[MAIN], float_parts(student))
    made = _quantize(folded, config, config.quantize, kept, inputs, context, metrics)
    return {**metrics, **made}


def _keep(program: Program, name: str, kind: str, context: Context) -> Program:
    return program_file.keep(program, program_file.place(context.scratch, name, kind))


def _kept(settings: QuantizeConfig, program: Program, parts: tuple[str, ...]) -> tuple[str, ...]:
    """What stays in float: what the recipe names, and of the model's own parts those that compute
    something."""
    from edgedistill.compress.quantize import present

    return tuple(dict.fromkeys((*settings.keep_float, *present(program, parts))))


def rehearse(
    config: Config,
    folded: dict[str, Program],
    inputs: tuple[Tensor, ...],
    parts: tuple[str, ...] = (),
) -> dict[str, Program]:
    """The programs of a student that has learned nothing yet, quantized as the recipe asks but for
    the training, of which one gradient is taken; none where nothing is to be quantized.

    inputs: of `main`, for a few samples, in its order; parts: what the student keeps in float.
    Raises UserError: a name of `keep_float` is no layer's.
    """
    from edgedistill.compress.post_training import post_training
    from edgedistill.compress.quantize import calibrate, convert, prepare
    from edgedistill.program import answers

    settings = config.quantize
    if settings is None:
        return {}
    program, kept = folded[MAIN], _kept(settings, folded[MAIN], parts)
    if settings.method != "qat":
        quantized = post_training(program, config.scheme, [inputs], kept)
    else:
        prepared = prepare(program, config.scheme, kept)
        calibrate(prepared, [inputs])
        quantized = convert(prepared)
        judged = answers(prepared.train()(*inputs))[program.signature.answer]
        judged.sum().backward()  # type: ignore[no-untyped-call]
    return {MAIN: quantized, **_others(folded, quantized, config.scheme, lambda: [inputs], kept)}


def _others(
    folded: dict[str, Program],
    quantized: Program,
    scheme: Scheme,
    batches: Callable[[], Iterable[tuple[Tensor, ...]]],
    kept: tuple[str, ...],
) -> dict[str, Program]:
    """A student's programs beside `main`, in integers as that is. batches: gives what `main`
    takes."""
    from edgedistill.compress.follow import follow
    from edgedistill.compress.quantize import present
    from edgedistill.compress.streams import fed

    def feed(name: str) -> Callable[[Program], Iterable[tuple[Tensor, ...]]]:
        return lambda program: fed(program, name, batches())

    return {
        name: follow(each, quantized, scheme, feed(name), present(each, kept))
        for name, each in folded.items()
        if name != MAIN
    }


def _quantize(
    folded: dict[str, Program],
    config: Config,
    settings: QuantizeConfig,
    kept: tuple[str, ...],
    inputs: dict[str, Artifact],
    context: Context,
    before: dict[str, float],
) -> JsonObject:
    from edgedistill.compress.describe import describe
    from edgedistill.compress.post_training import post_training
    from edgedistill.compress.quantize import calibrate, convert, prepare

    program = folded[MAIN]
    split = open_split(inputs["data"].path, "train")
    prepared = prepare(program, config.scheme, kept)
    calibrate(prepared, _calibration(split, settings, context.seed))
    rows = _sensitivity(prepared, settings, inputs)
    touchy = _touchy(rows, settings)
    if touchy:
        kept = (*kept, *touchy)
        context.reporter.say(f"quantize: left in float, too sensitive: {', '.join(touchy)}")
        prepared = prepare(program, config.scheme, kept)
        calibrate(prepared, _calibration(split, settings, context.seed))
    training: dict[str, float] = {}
    if settings.method == "qat":
        training = _train(prepared, config, settings, inputs, context)
        quantized = convert(prepared)
    else:
        batches, say = _calibration(split, settings, context.seed), context.reporter.say
        quantized = post_training(
            program, config.scheme, batches, kept, lambda text: say(f"quantize: {text}")
        )
    quantized = _keep(quantized, MAIN, "int8", context)
    others = _others(
        folded, quantized, config.scheme,
        lambda: _calibration(split, settings, context.seed), kept,
    )  # fmt: skip
    for name, each in others.items():
        _keep(each, name, "int8", context)
    near, notes = _fidelity(program, quantized, inputs)
    for text in notes:
        context.reporter.say(f"quantize: {text}")
    quantization = Quantization(
        method=settings.method,
        scheme=config.scheme,
        fidelity=near,
        kept_in_float=kept,
        sensitivity=rows,
        **vars(describe(quantized, kept)),
    )
    QuantizeRecord(quantization).write(context.scratch)
    after = _validate(quantized, inputs)
    drop = before["float_validation_quality"] - after
    _say_where_it_costs(drop, settings, context)
    told_near = {name: value for name, value in vars(near).items() if value is not None}
    return {**training, "validation_quality": after, "drop": drop, **told_near, "warnings": notes}


def _say_where_it_costs(drop: float, settings: QuantizeConfig, context: Context) -> None:
    if drop > settings.max_drop:
        context.reporter.say(
            f"quantize: int8 costs {drop:.2f} points of validation quality; "
            f"`stages.quantize.max_drop` is {settings.max_drop:g}"
        )


def _sensitivity(
    prepared: Prepared, settings: QuantizeConfig, inputs: dict[str, Artifact]
) -> tuple[LayerSensitivity, ...]:
    """What rounding each layer alone costs; nothing where it is not asked for."""
    from edgedistill.compress.sensitivity import sensitivity

    if not settings.sensitivity_samples:
        return ()
    held_out, labels = _held_out(inputs["data"], settings.sensitivity_samples)
    quality = task_of(inputs).quality
    return tuple(sensitivity(prepared, held_out, lambda outputs: quality(outputs, labels)))


def _touchy(rows: tuple[LayerSensitivity, ...], settings: QuantizeConfig) -> list[str]:
    """Layers with weights that cost more than is allowed."""
    above = settings.float_above
    if above is None:
        return []
    return [row.layer for row in rows if row.has_weights and row.drop_points > above]


def _fidelity(
    program: Program, quantized: Program, inputs: dict[str, Artifact]
) -> tuple[Fidelity, list[str]]:
    """How near int8 answers are, with what to tell where that is far."""
    import torch

    from edgedistill.compress.fidelity import advice, sqnr_db, unrounded
    from edgedistill.program import answers, graph_of

    held_out, _ = _held_out(inputs["data"], _COMPARED)
    with torch.no_grad():
        floats, integers = (answers(graph_of(each)(*held_out)) for each in (program, quantized))
    place = program.signature.answer
    wanted, found = floats[place], integers[place]
    same, losses = unrounded(quantized, *held_out)
    rounding = sqnr_db(same, torch.cat([each.flatten(1) for each in integers], 1))
    agreement = task_of(inputs).agreement
    same_answers = None if agreement is None else agreement(wanted.numpy(), found.numpy())
    near = Fidelity(sqnr_db(wanted, found), rounding, same_answers)
    told = advice(rounding, losses)
    return near, [told] if told else []


def _train(
    prepared: Any,
    config: Config,
    settings: QuantizeConfig,
    inputs: dict[str, Artifact],
    context: Context,
) -> dict[str, float]:
    training_inputs = open_training_inputs(
        inputs, settings.losses, config.augment, context.seed, config.workers
    )

    def freeze_when_due(share: float) -> None:
        if share >= settings.freeze_observers and not prepared.frozen:
            prepared.freeze_observers()

    # Rounding to integers needs products that bf16 cannot tell apart.
    exact = settings.model_copy(update={"precision": "fp32"})
    return train(
        training_inputs.objective(prepared, settings.losses), training_inputs, exact,
        checkpoint=context.checkpoints / "training.safetensors",
        tick=lambda done, total, note: context.reporter.tick("quantize", done, total, note),
        deterministic=context.deterministic, on_step=freeze_when_due,
    )  # fmt: skip


def _validate(program: Program, inputs: dict[str, Artifact]) -> float:
    split = open_split(inputs["data"].path, "validation")
    from edgedistill.program import graph_of

    predict = torch_predictor(graph_of(program))
    return task_of(inputs).quality(logits_of(predict, split), split.labels)


def _calibration(split: Split, settings: QuantizeConfig, seed: int) -> Iterator[tuple[Tensor, ...]]:
    """Training samples as an app would feed them: without augmentation."""
    samples = min(settings.calibration_samples, len(split))
    chosen = np.sort(np.random.default_rng([seed, 2]).permutation(len(split))[:samples])
    for start in range(0, samples, 64):
        yield _tensors(split, chosen[start : start + 64])


def _held_out(data: Artifact, samples: int) -> tuple[tuple[Tensor, ...], NDArray[Any]]:
    split = open_split(data.path, "validation")
    ids = np.linspace(0, len(split) - 1, min(samples, len(split))).astype(np.int64)
    return _tensors(split, ids), split.labels[ids]


def _tensors(split: Split, ids: NDArray[np.int64]) -> tuple[Tensor, ...]:
    import torch

    arrays = split.inputs(ids).values()
    return tuple(torch.from_numpy(each).contiguous() for each in arrays)
