"""Which stages the recipe of a recognizer asks for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from edgedistill.artifact import file_digest, text_digest
from edgedistill.data.fingerprint import of_recordings
from edgedistill.devices.machine import instructions, machine, precision_of
from edgedistill.errors import UserError
from edgedistill.models.whisper.folder import check_weights, find, generation, shape_of
from edgedistill.plan import Step
from edgedistill.plan_needs import told
from edgedistill.recipe.speech import Speech
from edgedistill.recipe.transcription import TranscriptionRecipe
from edgedistill.runtime_table import TABLE
from edgedistill.stages.recognizer import Config as Export
from edgedistill.target import Precision, Target
from edgedistill.transcribing.rules import read_rules
from edgedistill.transcribing.vocabulary import read_vocabulary
from edgedistill.transcripts.normalize import normalizer


def recognizer_steps(recipe: TranscriptionRecipe, target: Target) -> list[Step]:
    """The steps of a compile, in order.

    Raises UserError: the teacher or a place of the data is not there.
    """
    from edgedistill.stages import (
        ablate,
        recognize,
        recognizer,
        speech,
        speech_audit,
        speech_times,
        transcribe,
        tune,
    )

    wanted, student, name = recipe.stages, recipe.student, recipe.teacher.name
    teacher = _fingerprint(name)
    processor = text_digest(instructions(machine()))
    training = wanted.distill
    if training is not None:
        training = training.model_copy(update={"precision": precision_of(training.precision)})
    tuning = tune.Config(
        name=name, fingerprint=teacher, vocabulary=student.vocabulary, tokens=student.tokens,
        heads={"encoder": student.encoder_heads, "decoder": student.decoder_heads},
        ffn={"encoder": student.encoder_ffn, "decoder": student.decoder_ffn}, train=training,
    )  # fmt: skip
    learns = tuning.learns or student.vocabulary == "data"
    whole_encoder = (student.encoder_layers, student.encoder_heads, student.encoder_ffn) == (
        None, None, 1,
    )  # fmt: skip
    asked = wanted.transcribe
    transcribing = transcribe.Config(
        name=name, fingerprint=teacher, tokens=student.tokens, top_k=asked.top_k,
        batch_size=asked.batch_size, precision=precision_of(asked.precision), filter=asked.filter,
        # Who trains nothing, and keeps tokens by their kind, has nothing to learn from train.
        splits=("train", "validation") if learns else ("validation",),
        states=training is not None and whole_encoder and not training.encoder,
    )  # fmt: skip
    ablating = ablate.Config(
        name=name, fingerprint=teacher, encoder=student.encoder_layers,
        decoder=student.decoder_layers, utterances=wanted.ablate.utterances,
    )  # fmt: skip
    precisions = wanted.export.precisions or target.precisions
    _check_runtimes(target, precisions)
    exporting = recognizer.Config(
        name=recipe.name, runtimes=target.runtimes,
        precisions=precisions,
        activations=wanted.export.activations, utterances=wanted.export.utterances,
        weight_bits=target.scheme.weight_bits, processor=processor,
    )  # fmt: skip
    judging = recognize.Config(
        name=name, fingerprint=teacher, utterances=wanted.recognize.utterances, processor=processor
    )
    noise = [of_recordings(each, recipe.data.audio) for each in recipe.data.noise or ()]
    auditing = speech_audit.Config(
        name=name, fingerprint=teacher, speech=recipe.data, noise=text_digest(noise),
        processor=processor,
    )  # fmt: skip
    # Only a promise of speed needs the teacher as a file.
    speedup = recipe.contract.min_speedup is not None
    timing = speech_times.Config(
        name=name if speedup else None, fingerprint=teacher if speedup else "",
        tokens=student.tokens, machine=text_digest(machine()),
    )  # fmt: skip
    preparing = speech.Config(speech=recipe.data, fingerprint=_places(recipe.data))
    made = frozenset({"transformers"})  # whose normalizers tell which transcripts agree
    return [
        Step("speech", "speech", preparing, {}),
        Step("transcribe", "transcribe", transcribing, {"speech": "speech"}, made),
        Step("ablate", "ablate", ablating, {"speech": "speech", "transcribe": "transcribe"}),
        Step("distill", "tune", tuning,
             {"speech": "speech", "transcribe": "transcribe", "ablate": "ablate"}),
        Step("export", "recognizer", exporting,
             {"speech": "speech", "transcribe": "transcribe", "distill": "distill"}),
        Step("recognize", "recognize", judging, {"speech": "speech", "export": "export"}, made),
        Step("audit", "speech_audit", auditing,
             {"speech": "speech", "export": "export", "recognize": "recognize"}, made),
        Step("benchmark", "speech_times", timing, {"speech": "speech", "export": "export"}),
    ]  # fmt: skip


def look_ahead(
    recipe: TranscriptionRecipe, planned: Sequence[Step], done: Collection[str]
) -> list[str]:
    """What can be known to fail before a recording is read, and what a user should know.

    done: steps that need not run. Raises UserError: the teacher is no Whisper, does not know the
    language, has a shorter window or fewer layers than are asked for; transformers is missing; this
    machine or a file is too small.
    """
    if "distill" in done:
        return []
    folder = find(recipe.teacher.name)
    shape, student = shape_of(folder), recipe.student
    if recipe.data.seconds > shape.seconds:
        raise UserError(
            f"data.seconds: a window of {recipe.data.seconds:g} s is longer than the teacher's "
            f"positions, which are for {shape.seconds:g} s",
            f"give {shape.seconds:g} or less",
        )
    if student.tokens > shape.tokens:
        raise UserError(
            f"student.tokens: {student.tokens}; the teacher has positions for {shape.tokens}",
            f"give {shape.tokens} or less",
        )
    check_weights(folder)
    vocabulary = read_vocabulary(folder, shape.vocabulary)
    read_rules(generation(folder), vocabulary, recipe.data.language, limit=student.tokens)
    normalizer(recipe.data.language, folder)
    for part in ("encoder", "decoder"):
        there, heads = getattr(shape, f"{part}_layers"), getattr(shape, f"{part}_heads")
        kept = getattr(student, f"{part}_heads")
        if kept is not None and kept > heads:
            raise UserError(
                f"student.{part}_heads: {kept}; the teacher's {part} has {heads} in each layer",
                f"give {heads} at most",
            )
        wanted = getattr(student, f"{part}_layers")
        most = wanted if isinstance(wanted, int | None) else max(wanted) + 1
        if most is not None and most > there:
            raise UserError(
                f"student.{part}_layers: {wanted}; the teacher's {part} has {there} layers",
                f"give {there} at most, numbered from 0",
            )
    exporting = (each.config for each in planned if isinstance(each.config, Export))
    return [*_letters(recipe), *told(recipe, shape, vocabulary, next(exporting, None))]


def _letters(recipe: TranscriptionRecipe) -> Iterator[str]:
    language = recipe.data.language
    if recipe.student.vocabulary == "ascii" and language != "en":
        yield (
            f"student.vocabulary: ascii: words of the language `{language}` with letters beyond "
            "ASCII can never be said; `data` keeps the tokens that the teacher says"
        )


def _fingerprint(name: str) -> str:
    """Of a teacher's files: names, and what they hold."""
    folder = find(name)
    files = sorted(each for each in folder.iterdir() if each.suffix in (".json", ".safetensors"))
    return text_digest([[each.name, file_digest(each)] for each in files])


def _places(data: Speech) -> str:
    """Of what lies in the data's places, and how it is read."""
    config = data.model_dump(exclude={"train", "test", "noise"})
    places = (data.train, data.test or ())
    held = [[of_recordings(each, data.audio) for each in some] for some in places]
    return text_digest({"config": config, "content": held})


def _check_runtimes(target: Target, precisions: tuple[Precision, ...]) -> None:
    """Raises UserError: a runtime writes no weights that alone are int8."""
    strange = [name for name in target.runtimes if TABLE[name].extra]
    if strange and "int8" in precisions:
        raise UserError(
            f"{target.name}: {strange[0]} writes no recognizer whose weights alone are int8",
            f"leave `{strange[0]}` out of the target's `runtimes`, or int8 out of "
            "`stages.export.precisions`",
        )
