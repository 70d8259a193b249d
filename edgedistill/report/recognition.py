"""The report of a recognizer's compile: built of what the stages left, and as a person reads it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import edgedistill
from edgedistill.artifact import Artifact
from edgedistill.devices import machine
from edgedistill.recipe.transcription import TranscriptionRecipe
from edgedistill.records import ContractLine, Machine, Status, from_json
from edgedistill.records.recognition import (
    AblateRecord,
    RecognitionReport,
    Recognized,
    RecognizeRecord,
    RoundingsRecord,
    StudentRecord,
    TranscribeRecord,
)
from edgedistill.records.recognizer import RecognizerRecord
from edgedistill.records.speech import SpeechRecord
from edgedistill.target import Target

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def build_recognition(
    recipe: TranscriptionRecipe, target: Target, artifacts: dict[str, Artifact]
) -> RecognitionReport:
    """The report of one target's compile; artifacts by step."""
    recognized = RecognizeRecord.read(artifacts["recognize"])
    shipped = _shipped(recognized, RecognizerRecord.read(artifacts["export"]))
    lines = tuple(_contract(recipe, shipped))
    return RecognitionReport(
        edgedistill=edgedistill.__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        name=recipe.name,
        recipe=recipe.model_dump(mode="json"),
        target=target.model_dump(mode="json"),
        machine=from_json(Machine, machine()),
        data=SpeechRecord.read(artifacts["speech"]),
        transcribed=replace(TranscribeRecord.read(artifacts["transcribe"]), kept={}),
        ablated=AblateRecord.read(artifacts["ablate"]),
        student=replace(StudentRecord.read(artifacts["distill"]), kept_tokens=None),
        roundings=RoundingsRecord.read(artifacts["export"]),
        recognized=recognized,
        shipped=(shipped.runtime, shipped.precision),
        contract=lines,
        ok=all(line.status != "missed" for line in lines),
    )


def _shipped(recognized: RecognizeRecord, files: RecognizerRecord) -> Recognized:
    """Of the primary runtime's files the smallest."""
    first = files.files[0].runtime
    return min((each for each in recognized.files if each.runtime == first), key=lambda e: e.bytes)


def _contract(recipe: TranscriptionRecipe, shipped: Recognized) -> Iterator[ContractLine]:
    asked, rate = recipe.contract, shipped.error_rate
    low, high = rate.words_interval
    told = f"{rate.reference_words} words; 95 % interval {low:.3g} to {high:.3g} %"
    below, above = shipped.increase_interval
    more = f"95 % interval {below:.3g} to {above:.3g} points"
    for name, value, limit, unit, note in (
        ("word error rate", rate.words, asked.max_wer, "%", told),
        ("above the teacher's", shipped.increase, asked.max_wer_increase, "points", more),
        ("size", shipped.bytes / 1e6, asked.max_size_mb, "MB", ""),
    ):
        if limit is not None:
            status: Status = "ok" if value <= limit else "missed"
            yield ContractLine(name=name, limit=limit, at_least=False, value=value, unit=unit,
                               status=status, note=note)  # fmt: skip


def summary(report: RecognitionReport, bundle: str, width: int = 100) -> str:
    """As plain text, at most `width` columns wide; `bundle`: where that lies."""
    from rich.console import Console

    text = io.StringIO()
    show(report, Console(file=text, width=width, color_system=None))
    print(f"Bundle: {bundle}", file=text)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def show(report: RecognitionReport, console: Console) -> None:
    """Print what came of it: the student, the files, the contract."""
    student, dropped = report.student, report.transcribed.dropped
    verdict = "contract kept" if report.ok else "CONTRACT MISSED"
    lines = [
        f"{report.name} for {report.target['name']}: {verdict if report.contract else 'compiled'}",
        f"encoder of {len(student.encoder)}, decoder of {len(student.decoder)} layers "
        f"({', '.join(map(str, student.decoder))}), {student.sizes['vocabulary']:,} tokens, window "
        f"of {report.data.window / report.data.rate:g} s",
        f"transcripts dropped: {_told(dropped)}",
        f"cross entropy of a token: cut {student.before.cross_entropy:.3f}, trained "
        f"{student.after.cross_entropy:.3f}",
        "",
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False)
    console.print(_files(report))
    if report.contract:
        console.print(_promises(report.contract))
    console.print(
        f"Times: one thread of {report.machine.processor} ({report.machine.isa}).",
        markup=False, highlight=False,
    )  # fmt: skip


def _told(dropped: dict[str, dict[str, int]]) -> str:
    found = [
        f"{count} {kind} of {name}" for name, kinds in dropped.items()
        for kind, count in kinds.items()
    ]  # fmt: skip
    return ", ".join(found) or "none"


def _files(report: RecognitionReport) -> Table:
    from rich.table import Table

    table = Table(title="Files", title_justify="left", box=None, pad_edge=True)
    headers = "runtime", "precision", "WER %", "95 %", "CER %", "MB", "RTF", "first s", "tokens/s"
    for name in headers:
        table.add_column(name, justify="left" if name in ("runtime", "precision") else "right")
    for row in (report.recognized.teacher, *report.recognized.files):
        low, high = row.error_rate.words_interval
        mark = " *" if (row.runtime, row.precision) == tuple(report.shipped) else ""
        table.add_row(
            "teacher" if row is report.recognized.teacher else row.runtime,
            row.precision + mark, f"{row.error_rate.words:.2f}", f"{low:.1f}-{high:.1f}",
            f"{row.error_rate.characters:.2f}", f"{row.bytes / 1e6:.1f}",
            f"{row.seconds / row.sound_seconds:.3f}", f"{row.first_token_seconds:.2f}",
            f"{row.tokens_per_second:.1f}",
        )  # fmt: skip
    return table


def _promises(lines: Sequence[ContractLine]) -> Table:
    from rich.table import Table

    table = Table(title="Contract (of the files marked *)", title_justify="left", box=None)
    for name in ("line", "promised", "reached", "status", "note"):
        table.add_column(name)
    for line in lines:
        table.add_row(
            line.name, f"at most {line.limit:g} {line.unit}", f"{line.value:.4g}", line.status,
            line.note,
        )  # fmt: skip
    return table
