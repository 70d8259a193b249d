"""Judge a recognizer's files as an app decodes with them, beside the teacher."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgedistill.artifact import Artifact, JsonObject, read_json, write_json
from edgedistill.data.speech.utterances import Utterances, open_utterances
from edgedistill.errors import UserError
from edgedistill.models.whisper.folder import find
from edgedistill.records import FileEntry, as_json, from_json
from edgedistill.records.recognition import ErrorRate, Recognized, RecognizeRecord
from edgedistill.records.recognizer import RecognizerRecord
from edgedistill.records.speech import SpeechRecord
from edgedistill.stages import Context
from edgedistill.target import Frozen
from edgedistill.transcribing.decoding import Recognizer
from edgedistill.transcribing.long import Settings, segments, transcript
from edgedistill.transcribing.opening import as_given, of_files
from edgedistill.transcribing.recognizers import InTorch
from edgedistill.transcribing.timed import Timed
from edgedistill.transcripts.errors import align, difference_interval
from edgedistill.transcripts.normalize import Normalize, normalizer
from edgedistill.transcripts.rates import error_rate


class Config(Frozen):
    """What the figures depend on."""

    name: Path | str
    """Of the teacher."""
    fingerprint: str
    utterances: int
    processor: str
    """Digest of this processor's instructions: another has other kernels."""


@dataclass(frozen=True)
class _Test:
    """What everyone is judged on."""

    split: Utterances
    ids: tuple[int, ...]
    """Utterances with a transcript."""
    normalize: Normalize
    seed: int
    tick: Callable[[float, float, str], None]

    @property
    def references(self) -> list[str]:
        return [self.split.texts[each] or "" for each in self.ids]


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves `recognized.json`."""
    data = SpeechRecord.read(inputs["speech"])
    files = RecognizerRecord.read(inputs["export"])
    folder = find(str(config.name))
    split = open_utterances(inputs["speech"].path, "test")
    known = [at for at, text in enumerate(split.texts) if text is not None][: config.utterances]
    if not known:
        raise UserError(
            "no utterance of the test set has a transcript: no error rate can be told",
            "give `data.test` with a transcript of each recording",
        )
    test = _Test(
        split, tuple(known), normalizer(data.language, folder), context.seed,
        lambda done, all_, note: context.reporter.tick("recognize", done, all_, note),
    )  # fmt: skip
    place = context.checkpoints
    first, said = _once(place / "teacher.json", lambda: _teacher(folder, data, test))
    transcripts: dict[str, tuple[str, ...]] = {"reference": tuple(test.references), "torch": said}
    rows, place_of_files = [], inputs["export"].file("files")
    for encode, step in files.pairs():
        judge = functools.partial(_file, (encode, step), place_of_files, files, test, said)
        row, texts = _once(place / f"{encode.runtime}-{encode.precision}.json", judge)
        rows.append(row)
        transcripts[f"{encode.runtime} {encode.precision}"] = texts
    RecognizeRecord(teacher=first, files=tuple(rows), transcripts=transcripts).write(
        context.scratch
    )
    shown = {f"{each.runtime} {each.precision}": each.error_rate.words for each in rows}
    return {"word_error_rate": shown, "teacher": first.error_rate.words}


_Judged = tuple[Recognized, tuple[str, ...]]
"""A row, and the transcripts that it is told from."""


def _once(path: Path, judge: Callable[[], _Judged]) -> _Judged:
    """What an interrupted run found already, or what `judge` finds."""
    if path.exists():
        row, texts = read_json(path)
        return from_json(Recognized, row), tuple(texts)
    found = judge()
    write_json(path, [as_json(found[0]), list(found[1])])
    return found


def _file(
    pair: tuple[FileEntry, FileEntry], place: Path, files: RecognizerRecord, test: _Test,
    teacher: tuple[str, ...],
) -> _Judged:  # fmt: skip
    """Both programs of a runtime and a precision, as they ship."""
    recognizer, settings = of_files(files, pair, place)
    sizes = {each.file: each.bytes for each in pair}
    what = pair[0].runtime, pair[0].precision
    return _judged(recognizer, settings, test, what, sum(sizes.values()), teacher)


def _teacher(folder: Path, data: SpeechRecord, test: _Test) -> _Judged:
    """As it was given, in torch, with its whole window."""
    model, settings = as_given(folder, data.language, data.rate)
    size = sum(each.numel() for each in model.parameters()) * 4
    return _judged(InTorch(model), settings, test, ("torch", "fp32"), size, None)


def _judged(
    recognizer: Recognizer, settings: Settings, test: _Test, what: tuple[str, str], size: int,
    teacher: tuple[str, ...] | None,
) -> _Judged:  # fmt: skip
    timed, texts, looped = Timed(recognizer), [], 0
    begin = time.perf_counter()
    for number, at in enumerate(test.ids):
        found = list(segments(timed, [test.split.audio[slice(*test.split.offsets[at : at + 2])]],
                              settings))  # fmt: skip
        whole = transcript(found, int(test.split.lengths[at]), settings)
        looped += sum(each.looped for each in found)
        texts.append(whole.text)
        test.tick(number + 1, len(test.ids), ", ".join(what))
    seconds = time.perf_counter() - begin
    rate = error_rate(test.references, texts, test.normalize, test.seed)
    assert rate is not None, "there are references"
    row = Recognized(
        runtime=what[0], precision=what[1], error_rate=rate, bytes=size,
        increase=0.0 if teacher is None else _increase(rate, teacher, test),
        increase_interval=(0.0, 0.0) if teacher is None else _interval(texts, teacher, test),
        sound_seconds=float(test.split.seconds[list(test.ids)].sum()), seconds=seconds,
        first_token_seconds=timed.first_token_seconds(len(settings.rules.prompt)),
        tokens_per_second=timed.tokens_per_second, looped=looped,
    )  # fmt: skip
    return row, tuple(texts)


def _increase(rate: ErrorRate, teacher: tuple[str, ...], test: _Test) -> float:
    theirs = error_rate(test.references, list(teacher), test.normalize, test.seed)
    return rate.words - (theirs.words if theirs else 0.0)


def _interval(texts: list[str], teacher: tuple[str, ...], test: _Test) -> tuple[float, float]:
    ours, theirs = (
        align(test.references, each, test.normalize, "words") for each in (texts, teacher)
    )
    return difference_interval(ours, theirs, test.seed) or (0.0, 0.0)
