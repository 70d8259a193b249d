"""A sealed folder: its files, their digests, and what made it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)
JsonObject: TypeAlias = "Mapping[str, JsonValue]"

SEAL = "artifact.json"
CHECKPOINTS = "checkpoints"
"""Folder, in one that a stage works in, of what helps to resume."""


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def text_digest(value: Any) -> str:
    """SHA-256 of a value's canonical JSON, in hexadecimal."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the whole new one, never a part."""
    scratch = path.with_name(path.name + ".part")
    scratch.write_text(json.dumps(value, indent=1, sort_keys=True, default=str) + "\n")
    os.replace(scratch, path)


def read_json(path: Path) -> Any:
    """What a JSON file of ours holds; of what others wrote, see `files.read_json_file`."""
    return json.loads(path.read_text())


class BrokenSeal(Exception):
    """A sealed folder no longer holds what was sealed."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"{folder.name}: {reason}")
        self.folder = folder


@dataclass(frozen=True)
class Artifact:
    """What one stage left behind.

    `digest` covers the files alone, so that a stage run twice with the same bytes gives the same
    digest even where its metrics (a duration, say) differ.
    """

    path: Path
    kind: str
    digest: str
    metrics: JsonObject = field(default_factory=dict)

    def file(self, name: str) -> Path:
        """Where a file, or a folder, of that name lies; whether it is there is not looked at."""
        return self.path / name

    def json(self, name: str) -> Any:
        """What the JSON file of that name holds."""
        return read_json(self.path / name)

    def check_content(self) -> None:
        """Hash every file, whatever its times say. Raises BrokenSeal: one was changed."""
        _open(self.path, trust_times=False)


def _content_digest(digests: dict[str, str]) -> str:
    return text_digest(digests)


def seal(path: Path, kind: str, metrics: JsonObject, made_by: JsonObject) -> Artifact:
    """Record every file of `path` in its seal. The folder must not change afterwards, but for its
    `CHECKPOINTS`, which are no part of what is sealed and must go.

    What was trained on private data may show some of it: only the owner can read what is sealed.
    """
    files, digests = {}, {}
    for item in sorted(path.rglob("*")):
        passing = item.relative_to(path).parts[0] == CHECKPOINTS
        if item.is_file() and item.name != SEAL and not passing:
            item.chmod(0o600)
            name = item.relative_to(path).as_posix()
            digests[name] = file_digest(item)
            files[name] = {"sha256": digests[name], "times": _times(item)}
    digest = _content_digest(digests)
    record = {"kind": kind, "digest": digest, "metrics": metrics, "made_by": made_by}
    write_json(path / SEAL, {**record, "files": files, "record": text_digest(record)})
    (path / SEAL).chmod(0o600)
    return Artifact(path, kind, digest, json.loads(json.dumps(metrics, default=str)))


def _times(file: Path) -> list[int]:
    """What changes when a file does. The last, the time of its last change, nobody can set."""
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]


def open_sealed(path: Path) -> Artifact:
    """Open a sealed folder and check it. Files whose size and times are unchanged are trusted;
    any other is hashed again.

    Raises BrokenSeal: a file is missing, added or changed, or the seal itself was edited.
    """
    return _open(path, trust_times=True)


def _open(path: Path, trust_times: bool) -> Artifact:
    try:
        seal_ = json.loads((path / SEAL).read_text())
        files = seal_["files"]
        record = {key: seal_[key] for key in ("kind", "digest", "metrics", "made_by")}
        recorded = seal_["record"]
        known = {name: entry["times"] for name, entry in files.items()}
        content = _content_digest({name: entry["sha256"] for name, entry in files.items()})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenSeal(path, f"the seal cannot be read ({error!r})") from error
    if text_digest(record) != recorded or content != record["digest"]:
        raise BrokenSeal(path, "the seal was edited")
    present = {
        item.relative_to(path).as_posix()
        for item in path.rglob("*")
        if item.is_file() and item.name != SEAL
    }
    if present != set(files):
        odd = ", ".join(sorted(present ^ set(files)))
        raise BrokenSeal(path, f"files missing or added: {odd}")
    for name, entry in files.items():
        untouched = trust_times and _times(path / name) == known[name]
        if not untouched and file_digest(path / name) != entry["sha256"]:
            raise BrokenSeal(path, f"{name} was changed")
    return Artifact(path, record["kind"], record["digest"], record["metrics"])
