"""Bundles of `whisper_models`' tiny Whisper, of its own files or of made-up ones."""

from __future__ import annotations

from pathlib import Path

from whisper_models import COUNT, NAMED, PIECES, RULES, SHAPE, whisper

from edgedistill.bundle import Bundle, Compiled, Guards, write_recognizer
from edgedistill.models.whisper.spectrum import RATE
from edgedistill.records import FileEntry, Machine
from edgedistill.records.recognizer import VOCABULARY, RecognizerRecord
from edgedistill.runtimes import RUNTIMES, size_of
from edgedistill.transcribing.vocabulary import Vocabulary

GUARDS = Guards(repeats=3, no_speech=0.99)
COMPILED = Compiled(
    name="tiny", ok=True, shipped=("onnxruntime", "fp32"), recipe={"task": "transcription"},
    target={"name": "linux-x64"}, edgedistill="0.1.0", created="2026-01-01T00:00:00+00:00",
    machine=Machine("AMD EPYC", "x86-64", (), 2, 8.0, "Linux", {}),
    figures={"word_error_rate": {"value": 50.0, "unit": "%"}},
)  # fmt: skip


def vocabulary() -> Vocabulary:
    """Bytes, `PIECES`, and what is no text."""
    texts = [bytes([byte]) for byte in range(256)] + [piece.encode() for piece in PIECES]
    return Vocabulary((*texts, *[b""] * (COUNT - len(texts))), NAMED)


def record(files: dict[str, dict[str, Path]]) -> RecognizerRecord:
    """Of files by runtime and program."""
    signatures = {name: signature for name, (_, signature) in whisper().programs().items()}
    entries = [
        FileEntry(
            runtime=RUNTIMES[runtime].name, precision="fp32", file=path.name, bytes=size_of(path),
            signature=signatures[program], operators={}, transposes=0, program=program,
        )
        for runtime, programs in files.items()
        for program, path in programs.items()
    ]  # fmt: skip
    return RecognizerRecord(
        language="en", rate=RATE, window=SHAPE.samples, rules=RULES, guards=GUARDS,
        files=tuple(entries),
    )  # fmt: skip


def made_up(folder: Path, *runtimes: str) -> RecognizerRecord:
    """The record of files that hold nothing."""
    folder.mkdir(exist_ok=True)
    files = {
        name: {
            program: folder / f"tiny.{program}{RUNTIMES[name].suffix}"
            for program in ("encode", "decode_step")
        }
        for name in runtimes
    }
    for path in (path for programs in files.values() for path in programs.values()):
        path.write_bytes(path.name.encode())
    vocabulary().write(folder / VOCABULARY)
    return record(files)


def bundled(folder: Path, told: RecognizerRecord, out: Path) -> Bundle:
    return write_recognizer(folder, folder / VOCABULARY, told, COMPILED, out)
