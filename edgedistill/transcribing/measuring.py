"""What the files of recognizers take on this machine, each in processes of its own, in turn."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgedistill.devices import in_words, open_device
from edgedistill.devices.local import ending, environment, last_words
from edgedistill.errors import UserError
from edgedistill.records import FileEntry, from_json
from edgedistill.records.recognizer import Guards, RecognizerRecord, Rules
from edgedistill.records.speech_times import RecognizerTimes
from edgedistill.scratch import scratch_folder
from edgedistill.transcribing.worker import Answer, Order

if TYPE_CHECKING:
    from edgedistill.data.sound.decode import Samples

ROUNDS = 3
_PATIENCE = 600.0
"""Seconds that a process may take beside its transcribing."""
_SLOWEST = 60.0
"""Times as long as a sound that transcribing it may take."""
Tick = Callable[[int, int, str], None]
"""(how many are done, of how many, what came)."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Both programs of a recognizer in a runtime, and what decoding with them takes."""

    model: Literal["student", "teacher"]
    runtime: str
    precision: str
    encode: Path
    step: Path
    bytes: int
    window: int
    rate: int
    rules: Rules
    guards: Guards

    @property
    def name(self) -> str:
        """For messages."""
        told = f"{self.runtime} {self.precision}"
        return told if self.model == "student" else f"the teacher in {told}"


def subject_of(
    record: RecognizerRecord, pair: tuple[FileEntry, FileEntry], place: Path,
    model: Literal["student", "teacher"] = "student",
) -> Subject:  # fmt: skip
    """A pair of files that a record names, which lie in the folder `place`."""
    return Subject(
        model=model, runtime=pair[0].runtime, precision=pair[0].precision,
        encode=place / pair[0].file, step=place / pair[1].file,
        bytes=sum({each.file: each.bytes for each in pair}.values()), window=record.window,
        rate=record.rate, rules=record.rules, guards=record.guards,
    )  # fmt: skip


def measure(
    subjects: Sequence[Subject],
    sounds: Sequence[Samples],
    threads: int = 1,
    rounds: int | None = None,
    tick: Tick = lambda done, total, what: None,
) -> tuple[RecognizerTimes, ...]:
    """A row of each. In each round every one of them transcribes all sounds, (any number,) int16
    each at the subjects' rate, before the next round begins, so that what slows the machine for a
    while slows all of them; a further round is for memory alone.

    rounds: by default `ROUNDS`. Raises UserError: a process died or took too long, or a file cannot
    be read.
    """
    import numpy as np

    rounds = ROUNDS if rounds is None else rounds

    length = sum(map(len, sounds)) / subjects[0].rate
    with scratch_folder() as folder, open_device("local") as device:
        where = in_words(device.identity())
        given = folder / "sounds.npz"
        np.savez(given, *sounds)
        found: list[list[Answer]] = [[] for _ in subjects]
        for turn in range(rounds + 1):
            for place, each in enumerate(subjects):
                order = _order(each, given, threads, memory=turn == rounds)
                found[place].append(_asked(each, order, folder, length))
                done = turn * len(subjects) + place + 1
                tick(done, (rounds + 1) * len(subjects), _in_short(each, found[place][-1]))
    return tuple(
        _row(each, answers, length, threads, where)
        for each, answers in zip(subjects, found, strict=True)
    )


def _order(each: Subject, sounds: Path, threads: int, memory: bool) -> Order:
    return Order(
        runtime=each.runtime, encode=str(each.encode.resolve()), step=str(each.step.resolve()),
        window=each.window, rate=each.rate, rules=each.rules, guards=each.guards,
        sounds=str(sounds), threads=threads, memory=memory,
    )  # fmt: skip


def _asked(subject: Subject, order: Order, folder: Path, length: float) -> Answer:
    """What a process of its own answers."""
    asked, answer = folder / "order.json", folder / "answer.json"
    asked.write_text(json.dumps(asdict(order)))
    answer.unlink(missing_ok=True)
    words = [sys.executable, "-m", "edgedistill.transcribing.worker", str(asked), str(answer)]
    patience = _PATIENCE + _SLOWEST * length
    try:
        ended = subprocess.run(
            words, env=environment(order.threads), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, errors="backslashreplace", timeout=patience,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise UserError(
            f"measuring {subject.name} has not ended within {patience:g} s",
            "the file may be damaged, or the machine busy",
        ) from None
    if not answer.exists():
        raise UserError(
            f"measuring {subject.name}: the process died ({ending(ended.returncode)}): "
            f"{last_words(ended.stderr)}",
            "the file is damaged or made to do that, or memory ran out",
        )
    found = from_json(Answer, json.loads(answer.read_text()))
    if found.error:
        raise UserError(found.error, found.hint)
    return found


def _in_short(subject: Subject, answer: Answer) -> str:
    if answer.seconds:
        return f"{subject.name}: {answer.seconds:.3g} s"
    told = answer.peak_memory_mb
    return f"{subject.name}: " + ("no memory told" if told is None else f"{told:.4g} MB")


def _row(
    subject: Subject, answers: Sequence[Answer], length: float, threads: int, where: str
) -> RecognizerTimes:
    *timed, memory = answers
    seconds = tuple(each.seconds for each in timed)
    return RecognizerTimes(
        model=subject.model, runtime=subject.runtime, precision=subject.precision,
        bytes=subject.bytes, peak_memory_mb=memory.peak_memory_mb, sound_seconds=length,
        cold_load_ms=statistics.median(each.cold_load_ms for each in timed),
        warm_load_ms=statistics.median(each.warm_load_ms for each in timed),
        seconds=seconds, real_time_factor=statistics.median(seconds) / length,
        first_token_seconds=statistics.median(each.first_token_seconds for each in timed),
        tokens_per_second=statistics.median(each.tokens_per_second for each in timed),
        threads=threads, where=where,
    )  # fmt: skip


def forced(subject: Subject, tokens: int) -> Subject:
    """The same, but that each window is of just so many tokens, as many as there is room for, so
    that all files do the same work, whatever they hear."""
    rules, limit = subject.rules, min(len(subject.rules.prompt) + tokens, subject.rules.limit)
    suppressed = tuple(dict.fromkeys((*rules.suppressed, rules.end)))
    fixed = replace(rules, suppressed=suppressed, limit=limit)
    return replace(subject, rules=fixed, guards=Guards())
