"""Turn the student into one graph with quantize and dequantize nodes, by training or after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from edgedistill import program_file
from edgedistill.artifact import Artifact, JsonObject
from edgedistill.data import open_split
from edgedistill.data.samples import calibration
from edgedistill.models import load
from edgedistill.predict import Validation
from edgedistill.program import MAIN
from edgedistill.recipe import Changes, QuantizeConfig
from edgedistill.records import DataRecord, Quantization, QuantizeRecord
from edgedistill.stages import Context
from edgedistill.target import Frozen, Scheme
from edgedistill.train import train
from edgedistill.training_inputs import open_training_inputs

if TYPE_CHECKING:
    from torch import Tensor

    from edgedistill.compress.quantize import Prepared
    from edgedistill.compress.ways import Made
    from edgedistill.program import Program
    from edgedistill.records import Fidelity


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
    before = Validation(inputs).quality(folded[MAIN])
    made: JsonObject = {}
    if config.quantize is None:
        QuantizeRecord(None).write(context.scratch)
    else:
        kept = _kept(config.quantize, folded[MAIN], float_parts(student))
        made = _quantize(folded, config, config.quantize, kept, inputs, context, before)
    return {"float_validation_quality": before, **made}


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
    from edgedistill.compress.follow import follow_all
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
    others = follow_all(folded, quantized, config.scheme, lambda: [inputs], kept)
    return {MAIN: quantized, **others}


def _quantize(
    folded: dict[str, Program],
    config: Config,
    settings: QuantizeConfig,
    kept: tuple[str, ...],
    inputs: dict[str, Artifact],
    context: Context,
    before: float,
) -> JsonObject:
    from edgedistill.compress.fidelity import fidelity
    from edgedistill.compress.follow import follow_all
    from edgedistill.compress.ways import Ways

    program, scheme, training = folded[MAIN], config.scheme, dict[str, float]()
    split, validation = open_split(inputs["data"].path, "train"), Validation(inputs)

    def batches() -> Iterator[tuple[Tensor, ...]]:
        return calibration(split, settings.calibration_samples, context.seed)

    def learn(prepared: Prepared) -> None:
        training.update(_train(prepared, config, settings, inputs, context))

    def say(text: str) -> None:
        context.reporter.say(f"quantize: {text}")

    ways = Ways(program, scheme, settings, batches, learn, validation, before, say)
    made = ways.make(kept)
    quantized = _keep(made.program, MAIN, "int8", context)
    for name, each in follow_all(folded, quantized, scheme, batches, made.kept).items():
        _keep(each, name, "int8", context)
    held_out, _ = validation.some(_COMPARED)
    near, note = fidelity(program, quantized, held_out, validation.task.agreement)
    if note:
        say(note)
    QuantizeRecord(_described(made, quantized, scheme, near)).write(context.scratch)
    drop = before - made.quality
    if drop > settings.max_drop:
        say(
            f"int8 costs {drop:.2f} points of validation quality; `stages.quantize.max_drop` is "
            f"{settings.max_drop:g}"
        )
    told_near = {name: value for name, value in vars(near).items() if value is not None}
    return {
        **training,
        "validation_quality": made.quality,
        "drop": drop,
        **told_near,
        "warnings": [note] if note else [],
    }


def _described(made: Made, quantized: Program, scheme: Scheme, near: Fidelity) -> Quantization:
    from edgedistill.compress.describe import describe

    return Quantization(
        method=made.method,
        scheme=scheme,
        fidelity=near,
        kept_in_float=made.kept,
        sensitivity=made.rows,
        techniques=made.techniques,
        ptq_drop=made.ptq_drop,
        noise=made.noise,
        **vars(describe(quantized, made.kept)),
    )


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
