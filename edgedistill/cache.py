"""A content-addressed store of artifacts that several runs may use at once.

<root>/artifacts/<key>/   sealed folders
<root>/answers/<key>/     teachers' answers that were paid for, kept whatever else changes
<root>/costs/<key>.jsonl  what operators cost on a device, as it told
<root>/work/<key>/        a stage at work: checkpoints stay here until the stage is sealed
<root>/work/<key>.lock    held (flock) by the one process that works on <key>
<root>/work/<key>.read    held, shared, by every run that reads the artifact of <key>

Only the owner can look into these folders: what was trained on private data may show some of it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edgedistill.artifact import CHECKPOINTS, Artifact, BrokenSeal, JsonObject, open_sealed, seal
from edgedistill.errors import UserError


def default_root() -> Path:
    """`$EDGEDISTILL_CACHE`, or `~/.cache/edgedistill`."""
    return Path(os.environ.get("EDGEDISTILL_CACHE") or Path.home() / ".cache" / "edgedistill")


@dataclass(frozen=True)
class Entry:
    """One row of `edgedistill cache`."""

    key: str
    kind: str
    bytes: int
    used: float


def _opened(path: Path) -> Artifact:
    """Open a sealed folder, without what helped to resume: that goes last, so that a kill at any
    moment costs nothing that can be resumed."""
    shutil.rmtree(path / CHECKPOINTS, ignore_errors=True)
    return open_sealed(path)


def _entry(path: Path, kind: str) -> Entry | None:
    """None where another run took the folder away meanwhile."""
    size = 0
    try:
        used = path.stat().st_mtime
        for item in [path, *path.rglob("*")]:
            with suppress(FileNotFoundError):
                size += item.stat().st_size if item.is_file() else 0
    except FileNotFoundError:
        return None
    return Entry(path.name, kind, size, used)


class Cache:
    """One run's view of the store in folder `root`, which is made where it is missing. `say` is
    told what was dropped as damaged."""

    def __init__(self, root: Path, say: Callable[[str], None] = lambda _: None) -> None:
        self.root = root
        self._say = say
        self._reading: dict[str, IO[str]] = {}
        for name in ("artifacts", "answers", "costs", "work"):
            (root / name).mkdir(mode=0o700, parents=True, exist_ok=True)

    def find(self, key: str) -> Artifact | None:
        """The artifact of `key`, or None. A folder that was tampered with is dropped, aloud.

        What was found is not pruned as long as this object lives."""
        path = self.root / "artifacts" / key
        if not path.exists():
            return None
        self._hold(key)
        try:
            artifact = _opened(path)
        except BrokenSeal as broken:
            self.drop(broken)
            return None
        os.utime(path)
        return artifact

    def drop(self, broken: BrokenSeal) -> None:
        """Remove an entry that is not what was sealed, aloud. Raises UserError: it stays."""
        self._say(f"cache: dropped a damaged entry, it will be built again: {broken}")
        shutil.rmtree(broken.folder, ignore_errors=True)
        if broken.folder.exists():
            raise UserError(
                f"cache: the damaged entry {broken.folder} cannot be removed",
                "remove it by hand, or give another cache with --cache",
            )

    def _hold(self, key: str) -> None:
        if key not in self._reading:
            held = self._reading[key] = (self.root / "work" / f"{key}.read").open("w")
            fcntl.flock(held, fcntl.LOCK_SH)

    @contextmanager
    def work(self, key: str) -> Iterator[Path]:
        """The scratch folder of `key`, held alone; what an earlier, killed run left is in it."""
        lock = self.root / "work" / f"{key}.lock"
        with lock.open("w") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._say("cache: another run is building the same thing; waiting for it")
                fcntl.flock(held, fcntl.LOCK_EX)
            scratch = self.root / "work" / key
            scratch.mkdir(mode=0o700, exist_ok=True)
            yield scratch

    def commit(self, key: str, kind: str, metrics: JsonObject, made_by: JsonObject) -> Artifact:
        """Seal the scratch folder of `key` and move it into the store in one rename."""
        scratch, final = self.root / "work" / key, self.root / "artifacts" / key
        seal(scratch, kind, metrics, made_by)
        self._hold(key)
        os.replace(scratch, final)
        return _opened(final)

    def entries(self) -> list[Entry]:
        """All sealed artifacts, the least recently used first."""
        found = []
        for path in (self.root / "artifacts").iterdir():
            try:
                kind = _opened(path).kind
            except BrokenSeal:
                kind = "damaged"
            found.append(_entry(path, kind))
        return sorted(filter(None, found), key=lambda entry: entry.used)

    def unfinished(self) -> list[Entry]:
        """Scratch folders of stages that were interrupted, or are at work just now."""
        folders = [path for path in (self.root / "work").iterdir() if path.is_dir()]
        return list(filter(None, (_entry(path, "unfinished") for path in folders)))

    def answers(self) -> list[Entry]:
        """Teachers' answers that were paid for."""
        folders = (self.root / "answers").glob("*")
        return list(filter(None, (_entry(path, "answers") for path in folders)))

    def prices(self) -> list[Entry]:
        """What operators cost on each device, as it told."""
        files = (self.root / "costs").glob("*.jsonl")
        return list(filter(None, (_entry(path, "prices") for path in files)))

    def prune(self, keep_bytes: int) -> list[Entry]:
        """Remove the least recently used artifacts until at most `keep_bytes` are left; then what
        interrupted stages left, and last devices' prices: they are small, and take long to ask for.
        What a run works on or reads just now is not touched, nor are answers that were paid for."""
        entries = self.entries() + self.unfinished() + self.prices()
        total, removed = sum(entry.bytes for entry in entries), []
        for entry in entries:
            if total <= keep_bytes:
                break
            if self._remove(entry):
                total -= entry.bytes
                removed.append(entry)
        return removed

    def forget(self) -> list[Entry]:
        """Remove the answers that were paid for, but for those that are coming in just now."""
        return [entry for entry in self.answers() if self._forgotten(entry)]

    def _forgotten(self, entry: Entry) -> bool:
        folder = self.root / "answers" / entry.key
        with (folder / "lock").open("w") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            shutil.rmtree(folder, ignore_errors=True)
        return True

    def _remove(self, entry: Entry) -> bool:
        """Whether it could be removed: not while a run works on it or reads it."""
        if entry.kind == "prices":  # a run that has read them holds them in memory
            (self.root / "costs" / entry.key).unlink(missing_ok=True)
            return True
        unfinished = entry.kind == "unfinished"
        lock = self.root / "work" / f"{entry.key}.{'lock' if unfinished else 'read'}"
        with lock.open("w") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            folder = self.root / ("work" if unfinished else "artifacts") / entry.key
            shutil.rmtree(folder, ignore_errors=True)
        return True
