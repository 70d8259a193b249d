"""Turn the student into one graph with quantize and dequantize nodes, by training or after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

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
    Technique,
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
    from edgedistill.compress.quantize import calibrate, convert, prepare
    from edgedistill.program import answers

    settings = config.quantize
    if settings is None:
        return {}
    program, kept = folded[MAIN], _kept(settings, folded[MAIN], parts)
    prepared = prepare(program, config.scheme, kept)
    calibrate(prepared, [inputs])
    quantized = convert(prepared)
    if settings.method != "ptq":
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
    from edgedistill.compress.quantize import calibrate, prepare

    program = folded[MAIN]
    split = open_split(inputs["data"].path, "train")
    prepared = prepare(program, config.scheme, kept)
    calibrate(prepared, _calibration(split, settings, context.seed))
    rows = _sensitivity(prepared, settings, inputs)
    touchy = _touchy(rows, settings)
    if touchy:
        kept = (*kept, *touchy)
        context.reporter.say(f"quantize: left in float, too sensitive: {', '.join(touchy)}")
    maker = _Maker(program, config, settings, inputs, context, before["float_validation_quality"])
    made = maker.make(kept, rows)
    kept, quantized = made.kept, made.program
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
        method=made.method,
        scheme=config.scheme,
        fidelity=near,
        kept_in_float=kept,
        sensitivity=rows,
        techniques=made.techniques,
        ptq_drop=made.ptq_drop,
        noise=made.noise,
        **vars(describe(quantized, kept)),
    )
    QuantizeRecord(quantization).write(context.scratch)
    after, drop = made.quality, before["float_validation_quality"] - made.quality
    _say_where_it_costs(drop, settings, context)
    told_near = {name: value for name, value in vars(near).items() if value is not None}
    return {
        **maker.training,
        "validation_quality": after,
        "drop": drop,
        **told_near,
        "warnings": notes,
    }


@dataclass(frozen=True)
class _Made:
    """A quantized program, and how it came about."""

    program: Program
    kept: tuple[str, ...]
    method: Literal["qat", "ptq"]
    quality: float
    """On validation."""
    techniques: tuple[Technique, ...] = ()
    ptq_drop: float | None = None
    noise: float | None = None


@dataclass
class _Maker:
    """Quantizes a program by the method that the recipe names, or that validation says."""

    program: Program
    config: Config
    settings: QuantizeConfig
    inputs: dict[str, Artifact]
    context: Context
    float_quality: float
    training: dict[str, float] = field(default_factory=dict)
    """What training told, where there was one."""

    def make(self, kept: tuple[str, ...], rows: tuple[LayerSensitivity, ...]) -> _Made:
        """rows: the sensitivity table, by which `mixed` chooses layers."""
        if self.settings.method == "qat":
            if self.settings.mixed:
                kept = self._mixed(self._after(kept, quiet=True), rows).kept
            return self._trained(kept)
        made = self._after(kept)
        if self.settings.method == "auto":
            made = self._or_trained(made)
        return self._mixed(made, rows) if self.settings.mixed else made

    def _after(self, kept: tuple[str, ...], quiet: bool = False) -> _Made:
        """Quantized after training."""
        from edgedistill.compress.post_training import post_training

        split = open_split(self.inputs["data"].path, "train")
        batches = _calibration(split, self.settings, self.context.seed)
        program, techniques = post_training(
            self.program, self.config.scheme, batches, kept,
            lambda text: None if quiet else self._say(text),
        )  # fmt: skip
        return _Made(program, kept, "ptq", _validate(program, self.inputs), techniques)

    def _trained(self, kept: tuple[str, ...]) -> _Made:
        from edgedistill.compress.quantize import calibrate, convert, prepare

        prepared = prepare(self.program, self.config.scheme, kept)
        split = open_split(self.inputs["data"].path, "train")
        calibrate(prepared, _calibration(split, self.settings, self.context.seed))
        self.training = _train(prepared, self.config, self.settings, self.inputs, self.context)
        program = convert(prepared)
        return _Made(program, kept, "qat", _validate(program, self.inputs))

    def _or_trained(self, made: _Made) -> _Made:
        """The program quantized after training, where it is within what chance explains of the
        float one; else the better of it and one that is trained."""
        noise = self._noise(made.program)
        drop = self.float_quality - made.quality
        told = (
            f"without training int8 costs {drop:.2f} points of validation quality, where "
            f"{2 * noise:.2f} may be chance"
        )
        if drop <= 2 * noise:
            self._say(f"{told}: nothing is trained")
            return replace(made, ptq_drop=drop, noise=2 * noise)
        trained = self._trained(made.kept)
        better = max(made, trained, key=lambda each: each.quality)
        self._say(
            f"{told}; trained it costs {self.float_quality - trained.quality:.2f}: "
            f"`{better.method}` ships"
        )
        return replace(better, ptq_drop=drop, noise=2 * noise)

    def _noise(self, program: Program) -> float:
        from edgedistill.program import graph_of
        from edgedistill.tasks.noise import paired_noise

        split = open_split(self.inputs["data"].path, "validation")
        floats, integers = (
            logits_of(torch_predictor(graph_of(each)), split) for each in (self.program, program)
        )
        return paired_noise(task_of(self.inputs).quality, floats, integers, split.labels)

    def _mixed(self, made: _Made, rows: tuple[LayerSensitivity, ...]) -> _Made:
        """The same with layers in float, where it costs more than it may."""
        from edgedistill.compress.mixed import layer_macs, leave_in_float

        limit = self.settings.max_drop
        if self.float_quality - made.quality <= limit:
            return made
        tried: dict[tuple[str, ...], _Made] = {}

        def drop(names: tuple[str, ...]) -> float:
            tried[names] = self._after((*made.kept, *names), quiet=True)
            return self.float_quality - tried[names].quality

        macs = layer_macs(self.program)
        names, fallen = leave_in_float(rows, macs, drop, limit, made.kept)
        share = 100 * sum(macs[each] for each in names) / max(sum(macs.values()), 1)
        held = "" if fallen <= limit else f", which is more than the {limit:g} that were to hold"
        self._say(
            f"left in float, so that int8 costs {fallen:.2f} points{held}: "
            f"{', '.join(names) or 'nothing'} ({share:.1f} % of the multiply-accumulates)"
        )
        found = replace(tried[names], ptq_drop=made.ptq_drop, noise=made.noise)
        return max(made, found, key=lambda each: each.quality)

    def _say(self, text: str) -> None:
        self.context.reporter.say(f"quantize: {text}")


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
