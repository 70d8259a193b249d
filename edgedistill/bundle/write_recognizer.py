"""Write a bundle of a recognizer of speech."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue, ValidationError

from edgedistill.artifact import file_digest, write_json
from edgedistill.bundle.bundle import Bundle
from edgedistill.bundle.manifest import FORMAT, MANIFEST
from edgedistill.bundle.plain_rules import PLAIN, Placed, write_plain
from edgedistill.bundle.recognizer import (
    TRANSCRIPTION,
    RecognizerFile,
    RecognizerManifest,
    Shipped,
)
from edgedistill.bundle.write import bundle_digests, put
from edgedistill.document import problems
from edgedistill.errors import UserError
from edgedistill.records import ContractLine, FileEntry, Machine
from edgedistill.records.recognizer import VOCABULARY, RecognizerRecord
from edgedistill.transcribing.long import Settings
from edgedistill.transcribing.vocabulary import Vocabulary


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """What a recognizer's manifest says of its compile."""

    name: str
    ok: bool
    """Whether the contract was kept."""
    shipped: tuple[str, str]
    """Runtime and precision of the files that it is held against."""
    recipe: dict[str, JsonValue]
    target: dict[str, JsonValue]
    edgedistill: str
    """Version that compiled it."""
    created: str
    """ISO 8601, UTC."""
    machine: Machine
    contract: tuple[ContractLine, ...] = ()
    figures: Mapping[str, JsonValue] = field(default_factory=dict)
    """What was judged and measured."""


def write_recognizer(
    files: Path,
    vocabulary: Path,
    record: RecognizerRecord,
    compiled: Compiled,
    out: Path,
    reports: Callable[[Path], object] | None = None,
) -> Bundle:
    """Put a recognizer into the folder `out`, as `put` does.

    files: the folder where what the record names lies; vocabulary: a file of its tokens; reports:
    writes what is to lie beside them for people, `report.json` and `report.html`, into the folder
    that it is given.

    Raises UserError: as `put`, or the record's files, window and tokens do not go together.
    """

    def fill(folder: Path) -> None:
        for name in sorted({entry.file for entry in record.files}):
            for path in _parts(files / name):
                shutil.copyfile(path, folder / path.name)
        for each in record.golden:
            (folder / each.file).parent.mkdir(exist_ok=True)
            shutil.copyfile(files / each.file, folder / each.file)
        shutil.copyfile(vocabulary, folder / VOCABULARY)
        told = _manifest(record, compiled, bundle_digests(folder))
        _write_plain(folder / PLAIN, record, compiled.shipped, vocabulary)
        digests = told.digests | {PLAIN: file_digest(folder / PLAIN)}
        if reports is not None:
            reports(folder)
        write_json(folder / MANIFEST, told.model_copy(update={"digests": digests}).as_json())

    return put(out, fill)


def _write_plain(
    path: Path, record: RecognizerRecord, shipped: tuple[str, str], vocabulary: Path
) -> None:
    settings = Settings(
        language=record.language, rate=record.rate, window=record.window, rules=record.rules,
        guards=record.guards, vocabulary=Vocabulary.read(vocabulary),
    )  # fmt: skip
    pairs = [(_placed(encode), _placed(step)) for encode, step in record.pairs()]
    write_plain(path, settings, pairs, shipped)


def _placed(entry: FileEntry) -> Placed:
    return Placed(entry.runtime, entry.precision, entry.file, entry.bytes, entry.signature)


def _parts(path: Path) -> list[Path]:
    """A model file, and its weights where they lie beside it."""
    weights = path.with_suffix(".bin")
    return [path, weights] if path.suffix == ".xml" and weights.is_file() else [path]


def _manifest(
    record: RecognizerRecord, compiled: Compiled, digests: dict[str, str]
) -> RecognizerManifest:
    runtime, precision = compiled.shipped
    try:
        return RecognizerManifest(
            bundle_format=FORMAT,
            name=compiled.name,
            ok=compiled.ok,
            task=TRANSCRIPTION,
            shipped=Shipped.model_validate({"runtime": runtime, "precision": precision}),
            language=record.language,
            rate=record.rate,
            window=record.window,
            rules=record.rules,
            guards=record.guards,
            files=tuple(map(_file, record.files)),
            golden=record.golden,
            figures=dict(compiled.figures),
            digests=digests,
            recipe=compiled.recipe,
            target=compiled.target,
            edgedistill=compiled.edgedistill,
            created=compiled.created,
            machine=compiled.machine,
            contract=compiled.contract,
        )
    except ValidationError as error:
        hint = "compile with other settings, or report it"
        raise UserError(problems(error, RecognizerManifest, compiled.name), hint) from None


def _file(entry: FileEntry) -> RecognizerFile:
    return RecognizerFile(**{name: getattr(entry, name) for name in RecognizerFile.model_fields})
