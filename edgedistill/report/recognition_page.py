"""report.html of a recognizer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edgedistill.records.recognition import LayerTrial, RecognitionReport, Recognized
from edgedistill.records.speech_audit import WorstCase
from edgedistill.records.speech_times import RecognizerTimes
from edgedistill.report.contract import verdict
from edgedistill.report.speech_audit import speech_tables
from edgedistill.report.templates import environment_of_pages, sound_uri


def recognition_page(report: RecognitionReport, sounds: Mapping[str, bytes] = {}) -> str:
    """The whole page as HTML; sounds: the FLAC files that the worst cases name, by their names."""
    template = environment_of_pages().get_template("recognition.html.j2")
    shipped = next(e for e in report.recognized.files if _kind(e) == tuple(report.shipped))
    rendered: str = template.render(
        report=report,
        verdict=verdict(report) if report.contract else "compiled",
        shipped=shipped,
        headline=_headline(report, shipped),
        ours=_times(report, shipped),
        files=[_File(row, _times(report, row), row is shipped) for row in report.recognized.files],
        stages=list(_stages(report, shipped)),
        ablated=_bars(report.ablated.trials),
        tables=speech_tables(report.audited) if report.audited else [],
        cases=[_Playable(each, sounds) for each in report.audited.cases] if report.audited else [],
        recipe=json.dumps(report.recipe, indent=2),
    )
    return rendered


@dataclass(frozen=True)
class _File:
    row: Recognized
    times: RecognizerTimes | None
    shipped: bool

    @property
    def factor(self) -> float:
        return self.row.seconds / self.row.sound_seconds


def _kind(row: Recognized) -> tuple[str, str]:
    return row.runtime, row.precision


def _times(report: RecognitionReport, row: Recognized) -> RecognizerTimes | None:
    return report.timed.of("student", *_kind(row)) if report.timed else None


def _headline(report: RecognitionReport, shipped: Recognized) -> str:
    teacher = report.recognized.teacher
    return (
        f"{shipped.precision} student in {shipped.runtime}; word error rate "
        f"{shipped.error_rate.words:.2f} % on the test set, teacher "
        f"{teacher.error_rate.words:.2f} %; {shipped.bytes / 1e6:.1f} MB "
        f"({teacher.bytes / shipped.bytes:.1f}x smaller)"
    )


@dataclass(frozen=True)
class _Stage:
    """What became of the model."""

    name: str
    what: str
    cross_entropy: float | None = None
    accuracy: float | None = None
    wer: float | None = None
    mb: float | None = None


def _stages(report: RecognitionReport, shipped: Recognized) -> Iterator[_Stage]:
    student, teacher = report.student, report.recognized.teacher
    yield _Stage("teacher", "as it was given, in torch, with its whole window",
                 wer=teacher.error_rate.words, mb=teacher.bytes / 1e6)  # fmt: skip
    layers = f"{len(student.encoder)} layers hear, {len(student.decoder)} say; "
    layers += f"{student.sizes['vocabulary']:,} tokens"
    for part, lost in student.narrowed.items():
        layers += f"; {part} narrowed: {100 * sum(lost) / len(lost):.1f} % of the variance lost"
    cut, trained = student.before, student.after
    yield _Stage("ablate", layers, cut.cross_entropy, cut.accuracy)
    yield _Stage("distill", f"sayable whole: {student.coverage:.1f} % of the teacher's texts",
                 trained.cross_entropy, trained.accuracy)  # fmt: skip
    for row in report.recognized.files:
        if row.runtime == shipped.runtime:
            yield _Stage("export", f"{row.runtime}, {row.precision}", wer=row.error_rate.words,
                         mb=row.bytes / 1e6)  # fmt: skip


@dataclass(frozen=True)
class _Bar:
    """A trial, as a part of the longest."""

    name: str
    value: float
    width: float
    chosen: bool


def _bars(trials: tuple[LayerTrial, ...]) -> list[_Bar]:
    """Of each number of layers what was tried, the lowest cross entropy first."""
    longest = max((each.cross_entropy for each in trials), default=1.0) or 1.0
    groups: dict[tuple[str, int], list[LayerTrial]] = {}
    for each in trials:
        groups.setdefault((each.part, len(each.layers)), []).append(each)
    found = []
    for group in groups.values():
        best = min(each.cross_entropy for each in group)
        found += [
            _Bar(
                f"{each.part} of {len(each.layers)}: {', '.join(map(str, each.layers))}",
                each.cross_entropy, max(100 * each.cross_entropy / longest, 0.4),
                each.cross_entropy == best,
            )
            for each in sorted(group, key=lambda each: each.cross_entropy)
        ]  # fmt: skip
    return found


class _Playable:
    """A case with its sound, if it has one."""

    def __init__(self, case: WorstCase, sounds: Mapping[str, bytes]) -> None:
        self.case = case
        found = sounds.get(case.sound)
        self.uri = sound_uri(found, "flac") if found else ""
