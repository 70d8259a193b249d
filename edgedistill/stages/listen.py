"""Listen to long audio with the step of the file that ships: choose on validation audio what counts
as heard, and count on the test set's what is missed and what is heard wrongly."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgedistill.artifact import Artifact, JsonObject
from edgedistill.data import open_split
from edgedistill.data.sound.split import CLIP, NEGATIVE, NOISE, SoundSplit
from edgedistill.errors import UserError
from edgedistill.listening import choose, figures, trial
from edgedistill.listening.decision import Fired
from edgedistill.listening.ear import Ear, Floats, Hops
from edgedistill.listening.mixing import LongAudio, Mixing, Recordings
from edgedistill.recipe import ListenConfig
from edgedistill.records import AuditRecord, DataRecord, ExportRecord, FileEntry
from edgedistill.records.listening import Alike, Case, Curve, Heard, ListenRecord, Rule
from edgedistill.runtimes import RUNTIMES
from edgedistill.runtimes.sequences import Stream
from edgedistill.signature import Signature, in_words
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.tasks.keywords import heard_classes

STEP = "step"
"""The program that is listened with."""
_NO_STEP = f"the student has no program `{STEP}`: nothing can be listened with, or counted"
_NEAR_MS = 100.0
"""Apart at most, detections are the same."""
_ALIKE = 0.95
"""Of the detections of two files, without a word."""


class Config(Frozen):
    """What is chosen and counted depends on."""

    listen: ListenConfig
    limit: float
    """False accepts an hour of all keywords on validation audio, at most."""
    processor: str
    """Digest of this processor's instructions: another has other kernels."""


@dataclass(frozen=True)
class _Listening:
    """What is the same for all files and splits."""

    config: Config
    data: Artifact
    files: Artifact
    rate: int
    hops: Hops
    names: tuple[str, ...]
    """Of the keywords."""
    context: Context

    def ear(self, entry: FileEntry) -> Ear:
        """A file's program at its beginning."""
        path = self.files.file("files") / entry.file
        loaded = RUNTIMES[entry.runtime].load(path, program=entry.program)
        return Ear(Stream(loaded).judged, self.hops)

    def heard(self, entry: FileEntry, long: LongAudio, samples: int | None = None) -> Floats:
        minutes = min(long.samples, samples or long.samples) / self.rate / 60

        def tick(done: float) -> None:
            self.context.reporter.tick("listen", done, minutes, f"minutes, {entry.file}")

        return trial.heard(long, self.ear(entry), self.rate, tick, samples)

    def long(self, split: str) -> LongAudio:
        wanted = self.config.listen
        pause = (wanted.tolerance_ms + max(wanted.refractory_ms)) / 1000
        mixing = Mixing(self.context.seed, wanted.snr_db, pause, wanted.minutes)
        opened = open_split(self.data.path, split)
        assert isinstance(opened, SoundSplit)
        return LongAudio(recordings_of(opened, self.hops.keywords), mixing)

    def audio(self, long: LongAudio) -> figures.Audio:
        return trial.due(long, self.hops, self.rate, self.config.listen.tolerance_ms / 1000)


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves `listen.json`, and what went worst as WAV files; nothing of a student without a
    program `step`, which is said."""
    begin = time.monotonic()
    entry = ExportRecord.read(inputs["export"]).smallest(STEP)
    if entry is None:
        context.reporter.say(f"listen: {_NO_STEP}")
        return {"warnings": [_NO_STEP], "seconds": time.monotonic() - begin}
    listening = _listening(config, inputs, entry, context)
    record = _record(listening, entry, ExportRecord.read(inputs["export"]))
    record.write(context.scratch)
    warnings = list(_warnings(record))
    for text in warnings:
        context.reporter.say(f"listen: {text}")
    heard = record.test.all
    return {
        "misses": heard.misses,
        "false_accepts_per_hour": heard.false_accepts_per_hour,
        "warnings": warnings,
        "seconds": time.monotonic() - begin,
    }


def _listening(
    config: Config, inputs: dict[str, Artifact], entry: FileEntry, context: Context
) -> _Listening:
    data = DataRecord.read(inputs["data"])
    sound = data.sound
    assert sound is not None, "the recipe says that this task is of sound"
    audit = inputs.get("audit")
    temperature = AuditRecord.read(audit).temperature if audit else 1.0
    hop = hop_of(entry.signature)
    keywords = heard_classes(data.labels, (sound.unknown, sound.silence))
    hops = Hops(hop, -(-sound.length // hop) * hop, temperature, keywords)
    names = tuple(data.labels[number] for number in keywords)
    return _Listening(config, inputs["data"], inputs["export"], sound.rate, hops, names, context)


def _record(listening: _Listening, entry: FileEntry, export: ExportRecord) -> ListenRecord:
    config, names, rate = listening.config, listening.names, listening.rate
    long = listening.long("validation")
    audio, probabilities = listening.audio(long), listening.heard(entry, long)
    chosen = choose.choose(
        probabilities, audio, names, config.limit,
        _steps(config.listen.smoothing_ms, audio, 1), _steps(config.listen.refractory_ms, audio, 0),
    )  # fmt: skip
    validation = figures.figures(trial.decide(probabilities, chosen.rule, audio)[1], audio, names)
    test, curves, found, cases = _tried(listening, entry, chosen.rule)
    samples = round(60 * config.listen.compared_minutes * rate)
    others = [each for each in export.others if each.program == STEP and each != entry]
    return ListenRecord(
        program=STEP,
        runtime=entry.runtime,
        precision=entry.precision,
        file=entry.file,
        input=entry.signature.fresh[0].name,
        rate=rate,
        hop=listening.hops.hop,
        lead_in=listening.hops.lead_in,
        temperature=listening.hops.temperature,
        rule=chosen.rule,
        limit=config.limit,
        within_limit=chosen.within_limit,
        validation=validation,
        test=test,
        validation_curves=chosen.curves,
        test_curves=curves,
        alike=tuple(_alike(listening, each, chosen.rule, found, samples) for each in others),
        alike_minutes=min(samples, listening.long("test").samples) / rate / 60,
        cases=cases,
    )


def _tried(
    listening: _Listening, entry: FileEntry, rule: Rule
) -> tuple[Heard, tuple[Curve, ...], list[Fired], tuple[Case, ...]]:
    """The rule on the test set: figures, curves, all that is heard, and what went worst."""
    long = listening.long("test")
    audio, probabilities = listening.audio(long), listening.heard(entry, long)
    found, counts = trial.decide(probabilities, rule, audio)
    curves = choose.curves(probabilities, audio, rule.keywords, rule.smoothing, rule.refractory)
    cases = []
    wrong = trial.worst(counts, probabilities, rule, long, listening.hops, listening.rate)
    for number, each in enumerate(wrong):
        name = f"case{number}.wav"
        (listening.context.scratch / name).write_bytes(trial.wav(each.samples, listening.rate))
        seconds = (each.step + 1) * listening.hops.hop / listening.rate
        keyword = rule.keywords[each.keyword]
        cases.append(Case(kind=each.kind, keyword=keyword, confidence=each.confidence,
                          seconds=seconds, sound=name))  # fmt: skip
    return figures.figures(counts, audio, rule.keywords), curves, found, tuple(cases)


def _alike(
    listening: _Listening, entry: FileEntry, rule: Rule, shipped: Sequence[Fired], samples: int
) -> Alike:
    """Another file over the first part of the test set's long audio. Where a probability rises
    through its threshold, rounding moves that by a few steps."""
    long = listening.long("test")
    probabilities = listening.heard(entry, long, samples)
    audio = listening.audio(long)
    theirs, _ = trial.decide(probabilities, rule, audio)
    ours = [each for each in shipped if each.step < len(probabilities)]
    near = max(rule.smoothing, round(_NEAR_MS / audio.step_ms))
    same = trial.alike(ours, theirs, near)
    return Alike(
        runtime=entry.runtime, precision=entry.precision, file=entry.file, detections=len(ours),
        same=same, further=len(theirs) - same,
    )  # fmt: skip


def rehearse(signatures: Mapping[str, Signature]) -> str:
    """What is known of a student's programs before it is trained, in words; empty where it can be
    listened with.

    Raises UserError: its step takes something else than a piece of the samples.
    """
    if STEP not in signatures:
        return _NO_STEP
    fresh = signatures[STEP].fresh
    if [len(each.shape) for each in fresh] != [2] or not isinstance(fresh[0].shape[1], int):
        raise UserError(
            f"the student's program `{STEP}` takes {in_words(fresh) or 'states alone'}, beside "
            "its states; one piece of the samples, (batch, hop), is listened with",
            "let it take so many samples a step, and no more",
        )
    return ""


def recordings_of(split: SoundSplit, keywords: Collection[int]) -> Recordings:
    """A split's recordings as they lie on disk; keywords: the classes that are. Clips of another
    class, such as a user's own of unknown words, and noise are recordings without a keyword."""
    label_of = dict(zip(split.windows[:, 0].tolist(), split.labels.tolist(), strict=True))
    said: list[tuple[np.ndarray, int]] = []
    others: list[np.ndarray] = []
    noise: list[np.ndarray] = []
    for number, kind in enumerate(split.kinds.tolist()):
        recording = split.audio[split.offsets[number] : split.offsets[number + 1]]
        label = int(label_of.get(number, -1))
        if kind == CLIP and label in keywords:
            said.append((recording, label))
        elif label >= 0 or kind in (NEGATIVE, NOISE):  # a clip without a label may hold anything
            others.append(recording)
        if kind == NOISE:
            noise.append(recording)
    return Recordings(split.rate, said, others, noise)


def hop_of(signature: Signature) -> int:
    """Samples that a step takes."""
    (fresh,) = signature.fresh
    hop = fresh.shape[-1]
    assert hop is not None, "the samples of a step are of a fixed number"
    return hop


def _steps(times: Sequence[float], audio: figures.Audio, least: int) -> list[int]:
    return [max(least, round(each / audio.step_ms)) for each in times]


def _warnings(record: ListenRecord) -> Iterator[str]:
    chosen, tried = record.validation, record.test
    if not record.within_limit:
        yield (
            f"no thresholds keep {record.limit:g} false accepts an hour on validation audio; those "
            f"with the fewest were taken ({chosen.all.false_accepts_per_hour:.3g} an hour)"
        )
    for name, each in (("validation", chosen), ("test", tried)):
        if each.hours * max(record.limit, 0.1) < 1:
            yield (
                f"the {name} audio has {60 * each.hours:.1f} minutes without a keyword: too few "
                f"to count {record.limit:g} false accepts an hour; give more `data.sound.negatives`"
            )
        silent = [row.keyword for row in each.keywords if not row.said]
        if silent:
            yield f"never said in {name} audio: {', '.join(map(str, silent))}"
    for row in record.alike:
        if row.same < _ALIKE * max(row.detections, row.same + row.further):
            yield (
                f"{row.file} ({row.runtime}, {row.precision}) decides otherwise than {record.file}:"
                f" of {row.detections} detections {row.same} are the same, and it has "
                f"{row.further} more"
            )
