"""What a recognizer's shipped files do beyond their error rate, beside the teacher."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from edgedistill.artifact import Artifact, JsonObject, JsonValue, read_json, write_json
from edgedistill.data.sound.decode import Samples
from edgedistill.data.speech.places import TEST_FILES, TRAIN_FILES
from edgedistill.data.speech.prepare import read_utterances
from edgedistill.data.speech.utterances import Utterances, open_utterances
from edgedistill.models.whisper.folder import find
from edgedistill.recipe.speech import Speech
from edgedistill.records import as_json, from_json
from edgedistill.records.recognition import RecognizeRecord
from edgedistill.records.recognizer import RecognizerRecord
from edgedistill.records.speech import SpeechRecord
from edgedistill.records.speech_audit import Kind, MadeUp, SpeechAuditRecord, WorstCase
from edgedistill.scratch import scratch_folder
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.transcribing import no_speech
from edgedistill.transcribing.decoding import Recognizer
from edgedistill.transcribing.long import Settings
from edgedistill.transcribing.opening import as_given, of_files
from edgedistill.transcribing.recognizers import InTorch
from edgedistill.transcripts.audit import SPEAKERS, Heard, SpeechAudit
from edgedistill.transcripts.normalize import normalizer

_MOST_SOUND = 3_000_000
"""Bytes of the worst cases' recordings, all together: a report has them in it."""


class Config(Frozen):
    """What the figures depend on."""

    name: Path | str
    """Of the teacher."""
    fingerprint: str
    speech: Speech
    """Where noise lies, and how it is read."""
    noise: str
    """Of what lies there."""
    processor: str
    """Digest of this processor's instructions: another has other kernels."""


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves `speech_audit.json`, and the recordings of the worst cases."""
    begin = time.monotonic()
    data = SpeechRecord.read(inputs["speech"])
    normalize = normalizer(data.language, find(str(config.name)))
    shipped, _ = RecognizerRecord.read(inputs["export"]).shipped()
    split = open_utterances(inputs["speech"].path, "test")
    transcripts = RecognizeRecord.read(inputs["recognize"]).transcripts
    ours = transcripts[f"{shipped.runtime} {shipped.precision}"]
    known = [at for at, text in enumerate(split.texts) if text is not None][: len(ours)]
    figures = SpeechAudit(_heard(split, known, transcripts["torch"], ours), normalize)
    speakers = figures.by_speaker()
    record = SpeechAuditRecord(
        runtime=shipped.runtime, precision=shipped.precision,
        by_length=figures.by_length(data.window / data.rate),
        by_speaker=speakers[:SPEAKERS], speakers=len(speakers), copied=figures.copied(),
        made_up=tuple(_made_up(config, inputs["export"], data, context)),
        cases=tuple(_with_sounds(figures.worst(), known, split, context.scratch)),
    )  # fmt: skip
    record.write(context.scratch)
    words: dict[str, JsonValue] = {each.sound: each.shipped for each in record.made_up}
    return {"made_up_words": words, "seconds": time.monotonic() - begin}


def _heard(
    split: Utterances, known: Sequence[int], teacher: Sequence[str], ours: Sequence[str]
) -> list[Heard]:
    return [
        Heard(name=split.names[at], speaker=split.speakers[at], seconds=float(split.seconds[at]),
              reference=split.texts[at] or "", teacher=theirs, shipped=own)
        for at, theirs, own in zip(known, teacher, ours, strict=True)
    ]  # fmt: skip


def _with_sounds(
    cases: Iterator[tuple[int, WorstCase]], known: Sequence[int], split: Utterances, out: Path
) -> Iterator[WorstCase]:
    """Cases by their places in `known`; their recordings are written into a folder, as long as
    there is room."""
    left = _MOST_SOUND
    for number, (place, case) in enumerate(cases):
        at = known[place]
        content = _flac(split.audio[slice(*split.offsets[at : at + 2])], split.rate)
        if len(content) > left:
            yield case
            continue
        left -= len(content)
        name = f"case{number}.flac"
        (out / name).write_bytes(content)
        yield replace(case, sound=name)


def _flac(samples: Samples, rate: int) -> bytes:
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def _made_up(
    config: Config, export: Artifact, data: SpeechRecord, context: Context
) -> Iterator[MadeUp]:
    """Words of sounds without speech. A sound that an interrupted run has done is not done
    again."""
    folder = find(str(config.name))
    normalize = normalizer(data.language, folder)
    sounds = no_speech.sounds(data.rate, context.seed) | _own(config.speech, data, context)
    record = RecognizerRecord.read(export)
    model, settings = as_given(folder, data.language, data.rate)
    both: list[tuple[Recognizer, Settings]] = [
        of_files(record, record.shipped(), export.file("files")),
        (InTorch(model), replace(settings, guards=record.guards)),
    ]
    for done, (kind, sound) in enumerate(sounds.items()):
        path = context.checkpoints / f"{kind}.json"
        if not path.exists():
            counts = [
                no_speech.words_said(recognizer, sound, settings, normalize)
                for recognizer, settings in both
            ]
            (shipped, unguarded), (teacher, teacher_unguarded) = counts
            found = MadeUp(
                sound=kind, seconds=len(sound) / data.rate, shipped=shipped,
                shipped_unguarded=unguarded, teacher=teacher, teacher_unguarded=teacher_unguarded,
            )  # fmt: skip
            write_json(path, as_json(found))
        context.reporter.tick("words of no speech", done + 1, len(sounds), kind)
        yield from_json(MadeUp, read_json(path))


def _own(speech: Speech, data: SpeechRecord, context: Context) -> dict[Kind, Samples]:
    """The first of the recipe's own recordings of noise, one behind the other."""
    if not speech.noise:
        return {}
    whole = speech.model_copy(update={"text": None, "speaker": None})
    with scratch_folder() as folder:
        split, notes = read_utterances(
            speech.noise, whole, folder, context.reporter, (*TRAIN_FILES, *TEST_FILES)
        )
        for note in notes:
            context.reporter.say(f"data.noise: {note}")
        return {"noise": split.audio[: no_speech.SECONDS * data.rate].copy()}
