"""What a recipe of a recognizer takes of the machine at hand, told before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from edgedistill.devices.machine import machine, precision_of
from edgedistill.errors import UserError
from edgedistill.models.whisper import needs
from edgedistill.models.whisper.needs import Batch
from edgedistill.models.whisper.network import Shape
from edgedistill.recipe.transcription import Layers, TranscriptionRecipe
from edgedistill.stages.recognizer import Config as Export
from edgedistill.transcribing.vocabulary import Vocabulary

_CHOOSING = 8
"""Utterances at once, where layers are looked for."""
_BYTES = {"fp32": 4, "fp16": 2, "int8": 1}
_ONE_FILE = ("litert", "onnxruntime")
"""Runtimes whose files are of `needs.FILE_LIMIT` bytes at most."""


def told(
    recipe: TranscriptionRecipe, shape: Shape, vocabulary: Vocabulary, export: Export | None
) -> list[str]:
    """Sentences on parameters, memory and time; shape: the teacher's.

    Raises UserError: a model does not fit into this machine's memory, or a program into a file.
    """
    teacher = shape.of_seconds(recipe.data.seconds)
    student = student_of(recipe, teacher, vocabulary)
    have = machine()["memory_gb"]
    weights = 4e-9 * sum(needs.parameters(teacher).values())
    if weights > have:
        raise UserError(
            f"teacher: its weights are {weights:.1f} GB in memory, and this machine has {have:g}",
            "compile on a larger machine, or give a smaller teacher",
        )
    if export is not None:
        _check_files(student, export)
    millions = (
        f"{sum(needs.parameters(each).values()) / 1e6:.1f} M" for each in (teacher, student)
    )
    memory = _memory(recipe, teacher, student)
    listed = ", ".join(f"{name} {size / 1e9:.1f}" for name, size in memory.items())
    return [
        "parameters: {} of the teacher, {} of the student, at most".format(*millions),
        f"memory in GB, reckoned: {listed}; this machine has {have:g}",
        *_too_much(memory, have),
        _pace(recipe, teacher),
    ]


def student_of(recipe: TranscriptionRecipe, teacher: Shape, vocabulary: Vocabulary) -> Shape:
    """The sizes of the student, at most: what the data will trim is not known."""
    wanted = recipe.student
    return replace(
        teacher,
        encoder_layers=_count(wanted.encoder_layers, teacher.encoder_layers),
        decoder_layers=_count(wanted.decoder_layers, teacher.decoder_layers),
        encoder_heads=min(wanted.encoder_heads or teacher.encoder_heads, teacher.encoder_heads),
        decoder_heads=min(wanted.decoder_heads or teacher.decoder_heads, teacher.decoder_heads),
        encoder_head=teacher.encoder_head or teacher.width // teacher.encoder_heads,
        decoder_head=teacher.decoder_head or teacher.width // teacher.decoder_heads,
        encoder_inner=max(1, round(wanted.encoder_ffn * teacher.encoder_inner)),
        decoder_inner=max(1, round(wanted.decoder_ffn * teacher.decoder_inner)),
        tokens=wanted.tokens,
        vocabulary=len(vocabulary.ascii()) if wanted.vocabulary == "ascii" else teacher.vocabulary,
    )


def _count(wanted: Layers | None, there: int) -> int:
    if wanted is None:
        return there
    return wanted if isinstance(wanted, int) else len(wanted)


def _memory(recipe: TranscriptionRecipe, teacher: Shape, student: Shape) -> dict[str, int]:
    """Bytes, by what takes them."""
    stages, wanted, tokens = recipe.stages, recipe.student, recipe.student.tokens
    found = {"labelling": needs.labelling(teacher, Batch(stages.transcribe.batch_size, tokens))}
    if isinstance(wanted.encoder_layers, int) or isinstance(wanted.decoder_layers, int):
        found["choosing layers"] = needs.choosing(
            teacher, Batch(_CHOOSING, tokens), stages.ablate.utterances
        )
    if stages.distill is not None:
        found["training"] = needs.training(
            teacher, student, Batch(stages.distill.batch_size, tokens), stages.distill.encoder
        )
    return found | {"export": needs.exporting(student)}


def _too_much(memory: dict[str, int], have: float) -> Iterator[str]:
    names = [name for name, size in memory.items() if size > have * 1e9]
    if names:
        yield (
            f"memory: too little for {' and '.join(names)}, as reckoned: the system may kill it; "
            "smaller `batch_size`, `student.tokens` and `data.seconds` take less"
        )


def _check_files(student: Shape, export: Export) -> None:
    limited = [each for each in export.runtimes if each in _ONE_FILE]
    for precision in export.precisions:
        for program, count in needs.parameters(student).items():
            size = _BYTES[precision] * count
            if limited and size > needs.FILE_LIMIT:
                raise UserError(
                    f"export: `{program}` in {precision} takes {size / 1e9:.1f} GB, and a file for "
                    f"{' or '.join(limited)} holds {needs.FILE_LIMIT / 1e9:.1f} at most",
                    "give `stages.export.precisions: [int8]`, or fewer layers",
                )


def _pace(recipe: TranscriptionRecipe, teacher: Shape) -> str:
    from edgedistill.transcribing.pace import seconds_an_hour

    asked = recipe.stages.transcribe
    taken = seconds_an_hour(teacher, asked.batch_size, precision_of(asked.precision))
    return (
        f"labelling: about {taken / 60:.0f} minutes for an hour of sound on this machine, reckoned "
        "from one layer of each kind, timed now"
    )
