"""What the runner wrote, as a record."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from edgedistill.devices.job import Record
from edgedistill.devices.native.named import named
from edgedistill.devices.native.order import PROFILE, RECORD, Prepared, output_file
from edgedistill.errors import UserError, reading
from edgedistill.files import read_json_file
from edgedistill.records import OperatorRow

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class _Kind(TypedDict):
    """Of an output, as it came."""

    dtype: str
    shape: list[int]


class _Times(TypedDict):
    """What the runner writes of a job for times."""

    open_ms: float
    cold_load_ms: float
    warm_load_ms: float
    warmup_ms: list[float]
    samples_ms: list[float]
    outputs: dict[str, _Kind]


class _Memory(TypedDict):
    """And of one for memory; None where the kernel does not tell."""

    empty_kb: int | None
    peak_kb: int | None


class _Ran(TypedDict):
    """An operator, once."""

    name: str
    delegated: bool
    us: int


class _Profile(TypedDict):
    """What LiteRT's profiler saw, one run after another."""

    runs: int
    operators: list[_Ran]


_HINT = "run it again; if it stays so, the runner on the device is damaged"
_LACKS = "take a later processor, or a version of the runtime that is built for this one"


def answered(prepared: Prepared, folder: Path, said: str = "") -> Record:
    """The record of a job whose answers lie in `folder`.

    said: the runner's last words, for the message where it left no record.

    Raises UserError: the runner failed, it left no record, or what it left is damaged.
    """
    job = prepared.job
    what = f"measuring {job.model.name} in {job.runtime}"
    if not (folder / RECORD).is_file():
        raise UserError(
            f"{what}: the runner died: {said[:300] or 'without a word'}",
            "the file is damaged or made to do that, memory ran out, or the processor lacks "
            "instructions that the runtime needs",
        )
    found = read_json_file(folder / RECORD, "the runner's record", _HINT)
    if isinstance(found, dict) and "error" in found:
        error = str(found["error"])[:1000]
        hint = _LACKS if "SIGILL" in error else "see that the file is whole; export it again"
        raise UserError(f"{what}: {error}", hint)
    with reading(str(folder / RECORD), _HINT):
        if job.memory:
            return _memory(prepared, found)
        return _times(prepared, found, folder)


def _memory(prepared: Prepared, found: _Memory) -> Record:
    empty, peak = found["empty_kb"], found["peak_kb"]
    above = None if empty is None or peak is None else max(peak - empty, 0) * 1024 / 1e6
    return Record(None, None, [], above, signature=prepared.signature)


def _times(prepared: Prepared, found: _Times, folder: Path) -> Record:
    names = [each.name for each in prepared.signature.outputs]
    return Record(
        cold_load_ms=float(found["cold_load_ms"]),
        warm_load_ms=float(found["warm_load_ms"]),
        samples_ms=[float(each) for each in found["samples_ms"]],
        peak_memory_mb=None,
        import_ms=float(found["open_ms"]),
        warmup_ms=[float(each) for each in found["warmup_ms"]],
        operators=_operators(prepared, folder / PROFILE) if prepared.job.profile else [],
        outputs={
            name: _output(folder / output_file(place), found["outputs"][name], prepared.samples)
            for place, name in enumerate(names)
        },
        signature=prepared.signature,
    )


def _output(path: Path, kind: _Kind, samples: int) -> NDArray[np.generic]:
    """(samples, ...), whether the file's own output has an axis for the batch or not."""
    import numpy as np

    values = np.frombuffer(path.read_bytes(), kind["dtype"])
    shape = kind["shape"][1:] if kind["shape"][:1] == [1] else kind["shape"]
    return values.reshape(samples, *shape)


def _operators(prepared: Prepared, profile: Path) -> list[OperatorRow]:
    if prepared.job.runtime == "litert":
        ran = _of_litert(json.loads(profile.read_text(errors="replace")))
        return named(ran, prepared.written)
    from edgedistill.runtimes.onnxruntime import profiled

    return profiled(profile)


_KERNELS = {"F32": "float32", "F16": "float16", "QU8": "uint8", "QS8": "int8", "QC8": "int8"}
"""What XNNPACK calls the numbers that a kernel computes with."""
_SETTLING = 2
"""Runs that do not count."""


def _of_litert(profile: _Profile) -> list[OperatorRow]:
    """Times are means, as a single one is in whole microseconds. XNNPACK's operators, some of which
    stand for several of the file, are told by their place."""
    runs, ran = int(profile["runs"]), profile["operators"]
    count, rest = divmod(len(ran), runs)
    if rest:
        raise ValueError(f"{len(ran)} operators in {runs} runs")
    rows = []
    for place, first in enumerate(ran[:count]):
        times = [each["us"] for each in ran[place::count]]
        kernel = re.search(r"\b(F32|F16|QU8|QS8|QC8)\b", first["name"])
        rows.append(
            OperatorRow(
                f"{place} {first['name']}",
                first["name"].partition(" (")[0],
                _KERNELS[kernel[1]] if kernel else "",
                sum(times[_SETTLING:]) / len(times[_SETTLING:]),
                "XNNPACK" if first["delegated"] else "CPU builtin",
            )
        )
    return rows
