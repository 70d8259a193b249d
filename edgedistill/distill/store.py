"""The store of a teacher's answers: each is asked for once, and read by every stage that trains.

While it is filled, a folder of append-only shards, `shard-00000.bin` and on: arrays of fixed-size
records (see `Layout.record`). Each opening for writing begins a new shard, and each answer is
written as it comes, so a kill loses no answer that has arrived; half a record at a shard's end, and
one that can be no answer, are passed over. When all are there, `keep` writes them in order as one
`answers.npy` (views, samples), which NumPy maps: the same bytes however often the filling was
interrupted. All of it is its owner's alone to read.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgedistill.artifact import JsonObject, read_json
from edgedistill.distill.private import make_folder, owner_only, write_json
from edgedistill.errors import UserError, reading

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]
Records = NDArray[np.void]

_SHARD = re.compile(r"shard-[0-9]{5,9}\.bin")
_BLOCK = 65_536
"""Answers held in memory while they are put in order."""
_LEAST = 1e-7
"""Probability below which what the top few leave over is not told apart from nothing."""


@dataclass(frozen=True)
class Layout:
    """How an answer is kept: all logits in float32 (`full`) or float16 (`half`), or the log
    probabilities of the `k` likeliest classes (`top_k`), the rest spread evenly when read."""

    classes: int
    form: Literal["full", "half", "top_k"] = "full"
    k: int = 0

    @property
    def record(self) -> np.dtype[np.void]:
        """One answer as it lies on disk: numbers of its view and sample, an ensemble's agreement,
        and the logits or the few likeliest classes."""
        head = [("view", "<u4"), ("sample", "<u4"), ("agreement", "<f4")]
        if self.form == "top_k":
            few = [("classes", "<u4", (self.k,)), ("log_probabilities", "<f2", (self.k,))]
            return np.dtype([*head, *few])
        return np.dtype([*head, ("logits", "<f4" if self.form == "full" else "<f2", self.classes)])

    def pack(self, view: int, ids: Ids, logits: Floats, agreement: Floats | None) -> Records:
        """Records (batch,) of logits (batch, classes)."""
        records = np.empty(len(ids), self.record)
        records["view"], records["sample"] = view, ids
        records["agreement"] = 1.0 if agreement is None else agreement
        if self.form == "top_k":
            likely = log_softmax(logits)
            top = np.argsort(-likely, axis=1, kind="stable")[:, : self.k]
            records["classes"] = top
            records["log_probabilities"] = np.take_along_axis(likely, top, axis=1)
        elif self.form == "half":
            # What is added to all logits of an answer means nothing; near zero float16 is finer.
            records["logits"] = logits - logits.max(axis=1, keepdims=True)
        else:
            records["logits"] = logits
        return records

    def sound(self, records: Records, samples: int) -> NDArray[np.bool_]:
        """(n,): whether each record can be an answer to one of `samples` samples."""
        fit = records["sample"] < samples
        for start in range(0, len(records), _BLOCK):
            block = records[start : start + _BLOCK]
            numbers = block["log_probabilities" if self.form == "top_k" else "logits"]
            fit[start : start + _BLOCK] &= np.isfinite(numbers).all(axis=1)
            if self.form == "top_k":
                fit[start : start + _BLOCK] &= (block["classes"] < self.classes).all(axis=1)
        return np.asarray(fit)

    def unpack(self, records: Records) -> Floats:
        """Logits (batch, classes), float32."""
        if self.form != "top_k":
            return np.ascontiguousarray(records["logits"], np.float32)
        known = records["log_probabilities"].astype(np.float32)
        rest = np.maximum(1.0 - np.exp(known).sum(axis=1), _LEAST)
        spread = np.log(rest / max(self.classes - self.k, 1)).astype(np.float32)
        logits = np.repeat(spread[:, None], self.classes, axis=1)
        np.put_along_axis(logits, records["classes"].astype(np.int64), known, axis=1)
        return logits


def log_softmax(logits: Floats) -> Floats:
    """Logarithms of the probabilities, (batch, classes), in nats, of logits (batch, classes)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: Floats = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def divergence(exact: Floats, kept: Floats) -> Floats:
    """KL(exact || kept) of the distributions of logits (batch, classes); gives (batch,), nats."""
    p, q = log_softmax(exact), log_softmax(kept)
    result: Floats = (np.exp(p) * (p - q)).sum(axis=1)
    return result


@dataclass
class Loss:
    """What a form of keeping loses, summed over the answers kept."""

    answers: int = 0
    divergence: float = 0.0
    same: int = 0

    def add(self, exact: Floats, kept: Floats) -> None:
        """Count answers: their logits (batch, classes), and these as they are read back."""
        self.answers += len(exact)
        self.divergence += float(divergence(exact, kept).sum())
        self.same += int((exact.argmax(axis=1) == kept.argmax(axis=1)).sum())


@dataclass
class Store:
    """A store open for writing, by one process at a time (`opened`)."""

    folder: Path
    layout: Layout
    views: int
    samples: int
    split: str = "train"
    loss: Loss = field(default_factory=Loss)

    def __post_init__(self) -> None:
        self._known = np.zeros((self.views, self.samples), bool)
        for records in _shards(self.folder, self.layout):
            sound = self.layout.sound(records, self.samples)
            here = np.flatnonzero(sound & (records["view"] < self.views))
            self._known[records["view"][here], records["sample"][here]] = True
        numbers = [int(path.stem.removeprefix("shard-")) for path in _paths(self.folder)]
        self._shard = self.folder / f"shard-{max(numbers, default=-1) + 1:05d}.bin"

    def missing(self, view: int) -> Ids:
        """(n,): the samples not answered in `view` yet."""
        return np.flatnonzero(~self._known[view])

    def add(self, view: int, ids: Ids, logits: Floats, agreement: Floats | None = None) -> None:
        """Keep logits (batch, classes). When this returns, a kill of this process loses nothing.

        Raises UserError: logits that are no finite numbers, with their samples.
        """
        wrong = ~np.isfinite(logits).all(axis=1)
        if wrong.any():
            raise UserError(
                f"the teacher's answers are not finite for samples {ids[wrong][:8].tolist()} of "
                f"`{self.split}`",
                "check the teacher's weights and normalization",
            )
        records = self.layout.pack(view, ids, logits, agreement)
        if self.layout.form != "full":
            self.loss.add(logits, self.layout.unpack(records))
        with open(self._shard, "ab", buffering=0, opener=owner_only) as file:
            left = memoryview(records.tobytes())
            while left:
                left = left[file.write(left) or 0 :]
        self._known[view, ids] = True


@contextmanager
def opened(
    folder: Path,
    layout: Layout,
    views: int,
    samples: int,
    made_by: JsonObject,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Store]:
    """The store in `folder`, made where there is none, held alone.

    `made_by` says whose answers to what they are. Raises UserError: the folder holds another
    teacher's answers, to other views, or in another form; or nobody can say whose.
    """
    make_folder(folder)
    with open(folder / "lock", "w", opener=owner_only) as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("answers: another run is asking the same teacher; waiting for it")
            fcntl.flock(held, fcntl.LOCK_EX)
        head = {
            "classes": layout.classes, "form": layout.form, "k": layout.k, "samples": samples,
            "made_by": made_by,
        }  # fmt: skip
        head = json.loads(json.dumps(head))  # as it is read again: a tuple is a list there
        path = folder / "store.json"
        if path.exists():
            with reading(str(path), "remove its folder to ask again"):
                _same(read_json(path), head, folder)
        else:
            write_json(path, head)
        yield Store(folder, layout, views, samples, str(made_by.get("split", "train")))


def _same(head: Any, wanted: Any, folder: Path) -> None:
    own = {**head["made_by"], **{k: v for k, v in head.items() if k != "made_by"}}
    other = {**wanted["made_by"], **{k: v for k, v in wanted.items() if k != "made_by"}}
    differs = [key for key in other if own.get(key) != other[key]]
    if differs:
        told = "; ".join(
            f"{key}: {own.get(key)!r:.80}, expected {other[key]!r:.80}" for key in differs
        )
        raise UserError(
            f"{folder}: the answers there are not this teacher's to these images ({told})",
            "take another folder, or remove this one to ask again",
        )


def keep(store: Store, out: Path, views: int | None = None) -> None:
    """Write the answers to the first `views` views (or all) in order to `out/answers.npy`."""
    views = store.views if views is None else views
    shards = list(_shards(store.folder, store.layout))
    sound = [store.layout.sound(shard, store.samples) for shard in shards]
    ends = np.cumsum([len(shard) for shard in shards])
    head = {"descr": np.lib.format.dtype_to_descr(store.layout.record), "fortran_order": False,
            "shape": (views, store.samples)}  # fmt: skip
    with open(out / "answers.npy", "wb", opener=owner_only) as file:
        np.lib.format.write_array_header_2_0(file, head)
        for view in range(views):
            place = np.full(store.samples, -1, np.int64)
            for shard, end, fit in zip(shards, ends, sound, strict=True):
                here = np.flatnonzero(fit & (shard["view"] == view))
                place[shard["sample"][here]] = end - len(shard) + here
            assert (place >= 0).all(), "kept before all answers were there"
            for start in range(0, store.samples, _BLOCK):
                wanted = place[start : start + _BLOCK]
                block = np.empty(len(wanted), store.layout.record)
                for shard, end in zip(shards, ends, strict=True):
                    inside = (wanted >= end - len(shard)) & (wanted < end)
                    block[inside] = shard[wanted[inside] - (end - len(shard))]
                file.write(block.data)
    write_json(out / "answers.json", dataclasses.asdict(store.layout))


@dataclass(frozen=True)
class Answers:
    """A whole store, open for reading; records: (views, samples)."""

    layout: Layout
    records: Records

    @property
    def views(self) -> int:
        """How many looks at each sample were answered."""
        return int(self.records.shape[0])

    def __call__(self, ids: Ids, view: int) -> Floats:
        """Logits (batch, classes), float32, for samples `ids` as they look in `view`."""
        return self.layout.unpack(self.records[view % self.views, ids])

    def agreement(self, ids: Ids, view: int) -> Floats:
        """(batch,): the weight of the teachers that vote for the answer; 1 for a single one."""
        return np.ascontiguousarray(self.records[view % self.views, ids]["agreement"])


def open_answers(folder: Path) -> Answers:
    """The answers that `keep` left in `folder`. Raises UserError: they are damaged."""
    with reading(f"{folder}: the answers kept there", "remove the folder to have them made again"):
        layout = Layout(**read_json(folder / "answers.json"))
        records = np.load(folder / "answers.npy", mmap_mode="r")
        if (records.dtype, records.ndim) != (layout.record, 2):
            raise ValueError("answers.npy is not what answers.json says")
    return Answers(layout, records)


def _paths(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if _SHARD.fullmatch(path.name))


def _shards(folder: Path, layout: Layout) -> Iterator[Records]:
    """Each shard's whole records, mapped."""
    for path in _paths(folder):
        count = path.stat().st_size // layout.record.itemsize
        if count:
            yield np.memmap(path, layout.record, "r", shape=(count,))
        else:
            yield np.empty(0, layout.record)
