"""Ask a device what operators cost: counted, many in one job; timed, several of each in one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgedistill.costs.prices import Fixed
from edgedistill.costs.probe import Probe
from edgedistill.costs.probe_file import FORMS, SMALL, Numbers, write, write_chain, write_copies
from edgedistill.devices import Device, Job, Protocol, Record, percentile
from edgedistill.errors import UserError
from edgedistill.records import OperatorRow
from edgedistill.scratch import scratch_folder
from edgedistill.signature import Signature

_TOGETHER = 48
"""Operators in one file, where a device tells what each took."""
_COMPANY = Probe("add", 4096)
"""Beside one that is asked for by itself: of a file's only operator another figure is told."""
_COPIES = 8
"""Of an operator that is timed, in one file."""
_AGREE, _MOST = 1.05, 5
"""A file is timed again, each time in a new process, until the two least times are this near, and
so often at most: what disturbs adds."""
_CHAINS = (2, 26)
"""Lengths of the files that tell what an inference takes beside its operators."""


class Asking:
    """LiteRT's operators on one device, in int8 or float32."""

    def __init__(
        self, device: Device, numbers: Numbers, threads: int, say: Callable[[str], None]
    ) -> None:
        self._device = device
        self._numbers: Numbers = numbers
        self._protocol = Protocol(warmup=5, runs=2000, seconds=0.3, threads=threads, minimum=20)
        self._say = say
        self._counted = device.how == "emulated"

    def fixed(self) -> Fixed:
        """What an inference costs beside its operators. Raises UserError: the job fails."""
        short, long = (self._beside(*write_chain(length, self._numbers)) for length in _CHAINS)
        # Counted, below nothing: an operator has the profiler's own instructions within it. Timed,
        # what the smallest takes: prices are what others take beyond that.
        of_each = (long - short) / (_CHAINS[1] - _CHAINS[0])
        return Fixed(short - _CHAINS[0] * of_each, of_each)

    def _beside(self, content: bytes, signature: Signature) -> float:
        if not self._counted:
            return self._timed(content, signature)
        record = self._run(content, signature)
        return record.instructions["all"] - sum(row.instructions or 0.0 for row in record.operators)

    def prices(self, probes: Sequence[Probe]) -> Iterator[dict[Probe, float]]:
        """What each costs, some at a time. Raises UserError: a job fails, or does not tell."""
        done = 0
        for found in self._count(probes) if self._counted else self._time(probes):
            yield found
            done += len(found)
            self._say(f"costs: {done} of {len(probes)} operators asked of {self._device.name}")

    def _count(self, probes: Sequence[Probe]) -> Iterator[dict[Probe, float]]:
        for start in range(0, len(probes), _TOGETHER):
            some = probes[start : start + _TOGETHER]
            asked = some if len(some) > 1 else [_COMPANY, *some]
            told = _told(asked, self._run(*write(asked, self._numbers)).operators)
            yield {probe: told[probe] for probe in some}

    def _time(self, probes: Sequence[Probe]) -> Iterator[dict[Probe, float]]:
        least = self._copies(SMALL)
        for probe in probes:
            # A clamp comes with its addition.
            beside = self._copies(replace(probe, kind="add")) if probe.kind == "relu" else least
            yield {probe: max(0.0, self._copies(probe) - beside) / _COPIES}

    def _copies(self, probe: Probe) -> float:
        return self._timed(*write_copies(probe, self._numbers, _COPIES))

    def _timed(self, content: bytes, signature: Signature) -> float:
        """Microseconds of an inference."""
        found: list[float] = []
        while len(found) < _MOST:
            found.append(1000 * percentile(self._run(content, signature).samples_ms, 50))
            found.sort()
            if len(found) > 1 and found[1] <= _AGREE * found[0]:
                return found[0]
        self._say(f"costs: {self._device.name} is disturbed: of {_MOST} times no two agree")
        return found[0]

    def _run(self, content: bytes, signature: Signature) -> Record:
        random = np.random.default_rng(0)
        inputs: dict[str, Any] = {
            each.name: random.random(each.of_batch(1), dtype=np.float32)
            for each in signature.inputs
        }
        with scratch_folder() as folder:
            model = Path(folder) / "probes.tflite"
            model.write_bytes(content)
            np.savez(model.with_suffix(".npz"), **inputs)
            return self._device.run(
                Job(
                    model, "litert", model.with_suffix(".npz"), self._protocol,
                    profile=self._counted,
                )
            )  # fmt: skip


def _told(probes: Sequence[Probe], rows: Sequence[OperatorRow]) -> dict[Probe, float]:
    """Instructions of each probe. XNNPACK makes a clamp of its own after an addition; it runs right
    after that."""
    found: dict[Probe, float] = {}
    last = ""
    for row in rows:
        if row.name.startswith("p") and row.name[1:].isdigit():
            last = row.name
            probe = probes[int(last[1:])]
            if probe.kind != "relu" and row.instructions is not None:
                found[probe] = row.instructions
        elif row.type == "Clamp" and last and row.instructions is not None:
            found[probes[int(last[1:])]] = row.instructions
        else:  # of plain kernels a name is not always told
            waiting = [each for each in probes
                       if each not in found and FORMS[each.kind].name == row.type]  # fmt: skip
            if waiting and row.instructions is not None:
                found[waiting[0]] = row.instructions
    missing = [each for each in probes if each not in found]
    if missing:
        raise UserError(
            f"costs: the device did not tell what {missing[0].kind} took",
            "leave it out, or report this with the versions of `edgedistill device doctor`",
        )
    return found
