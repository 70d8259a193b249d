"""The measuring process: `python -m edgedistill.devices.worker JOB.json RECORD.json`."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.devices.figures import percentile
from edgedistill.devices.job import Job, Protocol
from edgedistill.devices.resident import begin_memory, peak_above
from edgedistill.errors import UserError, reading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgedistill.records import OperatorRow

OUTPUTS = "outputs.npz"
"""What the file gave, beside the record."""
_SETTLED, _BLOCKS = 0.05, 10
"""The warm-up ends as the medians of two blocks are this near, or after so many blocks; no third
begins after as long as is to be measured."""


def main(order: Path, answer: Path) -> None:
    """Measure the job in file `order` and write the record into `answer`, in one rename; of an
    error that the user can mend, its message and hint."""
    try:
        job = _job(order)
        with reading(str(job.model), "the file is damaged or of another kind; export it again"):
            found = measure(job, answer.with_name(OUTPUTS))
    except UserError as error:
        found = {"error": error.message, "hint": error.hint}
    scratch = answer.with_suffix(".part")
    scratch.write_text(json.dumps(found))
    os.replace(scratch, answer)


def _job(order: Path) -> Job:
    said = json.loads(order.read_text())
    paths = {key: Path(said[key]) for key in ("model", "inputs")}
    return Job(**{**said, **paths, "protocol": Protocol(**said["protocol"])})


def measure(job: Job, outputs: Path) -> dict[str, Any]:
    """Load the job's file, run it on the job's inputs, and say what that took, by the names of
    `Record`; what the file gave goes into `outputs`."""
    import numpy as np

    with np.load(job.inputs) as arrays:
        samples = {name: np.ascontiguousarray(arrays[name][: job.samples]) for name in arrays}
    import_ms, _ = _timed(lambda: _import(job.runtime))
    empty = begin_memory()
    cold_ms, loaded = _timed(lambda: _load(job))
    count = min(map(len, samples.values()))
    encoded = (
        loaded.encode({name: values[i : i + 1] for name, values in samples.items()})
        for i in range(count)
    )
    told: dict[str, Any] = {"import_ms": import_ms, "operators": [], "signature": None}
    if job.memory:
        for native in encoded:  # one at a time, as an app has them
            loaded.run(native)
        peak = peak_above(empty)
        return {**told, "cold_load_ms": None, "warm_load_ms": None, "samples_ms": [],
                "peak_memory_mb": peak}  # fmt: skip
    inputs = list(encoded)
    warmup, latencies = _sample(loaded, inputs, job.protocol)
    warm_ms, _ = _timed(lambda: _load(job))
    told |= {"cold_load_ms": cold_ms, "warm_load_ms": warm_ms, "samples_ms": latencies,
             "warmup_ms": warmup, "peak_memory_mb": None}  # fmt: skip
    if job.profile:
        # What it gives may be views of the runtime's own buffer.
        given = [{name: values.copy() for name, values in loaded.run(native).items()}
                 for native in inputs]  # fmt: skip
        whole: dict[str, Any] = {name: np.concatenate([each[name] for each in given])
                                 for name in given[0]}  # fmt: skip
        np.savez(outputs, **whole)
        signature = getattr(loaded, "signature", None)
        told |= {"operators": [asdict(row) for row in loaded.operators()],
                 "signature": asdict(signature) if signature else None}  # fmt: skip
    return told


def _timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds that `action` took, and what it returned."""
    begin = time.perf_counter_ns()
    result = action()
    return (time.perf_counter_ns() - begin) / 1e6, result


def _sample(loaded: Any, inputs: list[Any], protocol: Protocol) -> tuple[list[float], list[float]]:
    """Milliseconds of each run of the warm-up, and of each that counts."""
    clock = time.perf_counter_ns

    def once(turn: int) -> float:
        native = inputs[turn % len(inputs)]
        begin = clock()
        loaded.run(native)
        return (clock() - begin) / 1e6

    warmup: list[float] = []
    before, begun = math.inf, clock()
    for number in range(_BLOCKS if protocol.warmup else 0):
        block = [once(turn) for turn in range(protocol.warmup)]
        warmup += block
        median = percentile(block, 50)
        late = number and clock() - begun > 1e9 * protocol.seconds
        if late or abs(median - before) <= _SETTLED * median:
            break
        before = median
    samples: list[float] = []
    begun = clock()
    while (
        len(samples) < protocol.minimum
        or (passed := (clock() - begun) / 1e9) < protocol.minimum_seconds
        or (len(samples) < protocol.runs and passed < protocol.seconds)
    ):
        samples.append(once(len(samples)))
    return warmup, samples


def _import(runtime: str) -> None:
    """Import a runtime's package and our adapter, so that loading a file is all that is timed."""
    if runtime == "torch":
        import torch

        torch.zeros(1)
        return
    from edgedistill.runtimes import RUNTIMES

    with suppress(UserError):  # loading says it again
        RUNTIMES[runtime].prepare()


def _load(job: Job) -> Any:
    threads = job.protocol.threads
    if job.runtime == "torch":
        return _Torch(job.model, threads)
    from edgedistill.runtimes import RUNTIMES

    return RUNTIMES[job.runtime].load(job.model, threads=threads, program=job.program)


class _Torch:
    """A model folder as torch runs it, in the shape of a loaded runtime file."""

    def __init__(self, folder: Path, threads: int) -> None:
        import torch

        from edgedistill.models import load

        torch.set_num_threads(threads)
        self._torch = torch
        self._module = load(folder).eval()

    def encode(self, inputs: dict[str, NDArray[np.float32]]) -> Any:
        return [self._torch.from_numpy(values) for values in inputs.values()]

    def run(self, native: Any) -> Any:
        with self._torch.inference_mode():
            given = self._module(*native)
        several = given if isinstance(given, tuple | list) else [given]
        return {f"output_{place}": each.numpy() for place, each in enumerate(several)}

    def operators(self) -> list[OperatorRow]:
        return []


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
