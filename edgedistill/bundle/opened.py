"""A bundle's folder: checked, and its model files opened as they are asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from edgedistill.artifact import file_digest, text_digest
from edgedistill.bundle.manifest import REPORT, read_manifest
from edgedistill.bundle.recognizer import TRANSCRIPTION, RecognizerManifest, read_tokens
from edgedistill.errors import UserError, nearest, reading
from edgedistill.files import read_json_file
from edgedistill.records import ReportRecord, from_json
from edgedistill.records.recognition import RecognitionReport

if TYPE_CHECKING:
    import numpy as np

    from edgedistill.runtimes import Loaded
    from edgedistill.transcribing.vocabulary import Vocabulary


class Opened:
    """What bundles of all kinds have."""

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path = path
        self.manifest = manifest
        self._loaded: dict[str, Loaded] = {}

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Open a bundle and check every file against its digest. Nothing in it can run code; a
        model file that was made to do harm can still end the process that runs it, which
        `edgedistill.evaluate` and its like try in another process first.

        Raises UserError: not a bundle, of a later format, or a file is missing, was changed, or
        lies elsewhere.
        """
        path = Path(path)
        manifest = read_manifest(path)
        for name, digest in manifest["digests"].items():
            if not (path / name).resolve().is_relative_to(path.resolve()):
                raise UserError(
                    f"{path}: {name} leads out of the bundle", "put the file itself there"
                )
            if not (path / name).is_file():
                raise UserError(f"{path}: {name} is missing", "compile the bundle again")
            if file_digest(path / name) != digest:
                raise UserError(
                    f"{path}: {name} was changed after the bundle was written",
                    "compile the bundle again, or restore the file",
                )
        found = cls(path, manifest)
        if found.transcribes:
            _ = found.tokens
        return found

    def __repr__(self) -> str:
        return f"Bundle({str(self.path)!r})"

    @property
    def report(self) -> dict[str, Any]:
        """What the compile did; the same as `report.json`. Raises UserError: it is not there, or
        not of that form."""
        hint = "compile the bundle again, or take its report from where it was copied from"
        found: dict[str, Any] = read_json_file(self.path / REPORT, "the bundle's report", hint)
        kind = RecognitionReport if self.transcribes else ReportRecord
        from_json(kind, found, str(self.path / REPORT), hint)
        return found

    @property
    def ok(self) -> bool:
        """Whether the contract was kept."""
        return bool(self.manifest["ok"])

    @property
    def digest(self) -> str:
        """Of the model files and golden data alone, so that equal compiles have equal digests."""
        return text_digest(self.manifest["digests"])

    @property
    def files(self) -> list[dict[str, Any]]:
        """The model files: runtime, precision, file, bytes, input, output."""
        return list(self.manifest["files"])

    @property
    def transcribes(self) -> bool:
        """Whether it holds a recognizer of speech."""
        return bool(self.manifest["task"] == TRANSCRIPTION)

    @property
    def answering(self) -> dict[str, Any]:
        """The manifest of models that classify, measure or listen. Raises UserError: the bundle has
        a recognizer of speech."""
        if self.transcribes:
            raise UserError(
                f"{self.path}: holds a recognizer of speech, which transcribes and does nothing "
                "else",
                "`bundle.transcribe(sound)`, or `edgedistill transcribe BUNDLE AUDIO`",
            )
        return self.manifest

    @cached_property
    def recognizer(self) -> RecognizerManifest:
        """What a recognizer of speech says of itself. Raises UserError: there is none."""
        if not self.transcribes:
            raise UserError(
                f"{self.path}: holds no recognizer of speech (its task is {self.manifest['task']})",
                "`bundle.predict`, or `listen` for keywords; text takes a bundle of "
                "`task: transcription`",
            )
        return RecognizerManifest.model_validate_json(json.dumps(self.manifest))

    @cached_property
    def tokens(self) -> Vocabulary:
        """A recognizer's. Raises UserError: there is none, or its files do not fit them."""
        return read_tokens(self.path, self.recognizer)

    def open_program(self, runtime: str, file: str, program: str, threads: int) -> Loaded:
        """A program of a model file, by the file's name; loaded once."""
        from edgedistill.runtimes import RUNTIMES

        key = f"{file} {program} {threads}"
        if key not in self._loaded:
            path = self.path / file
            self._loaded[key] = RUNTIMES[runtime].load(path, threads=threads, program=program)
        return self._loaded[key]

    def _array(self, name: str, dimensions: int | None = None) -> np.ndarray:
        import numpy as np

        hint = "compile the bundle again"
        with reading(str(self.path / name), hint):
            # Mapped, a header that lies about the size is found out before memory is taken.
            found = np.array(np.load(self.path / name, mmap_mode="r"))
        if found.dtype != np.float32 or found.ndim != (dimensions or found.ndim) or not len(found):
            told = f"holds {found.dtype} of shape {found.shape}"
            raise UserError(f"{self.path / name}: {told}, not what a bundle has there", hint)
        return found


def choose(
    entries: Sequence[dict[str, Any]],
    shipped: tuple[str, str],
    runtime: str | None,
    precision: str | None,
    path: Path,
) -> dict[str, Any]:
    """Of a bundle's model files the one of a runtime and precision; by default of the `shipped`
    ones, or as near to them as what is asked for allows.

    Raises UserError: no such file in the bundle at `path`.
    """
    found = list(entries)
    for key, wanted in (("runtime", runtime), ("precision", precision)):
        if wanted is None:
            continue
        have = sorted({entry[key] for entry in found})
        if wanted not in have:
            raise UserError(f"{path}: no file with {key} `{wanted}`", nearest(wanted, have))
        found = [entry for entry in found if entry[key] == wanted]
    same = [each for each in found if each["precision"] == shipped[1]] or found
    return next((each for each in same if each["runtime"] == shipped[0]), same[0])
