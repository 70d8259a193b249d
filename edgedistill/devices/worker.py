"""The measuring process: `python -m edgedistill.devices.worker JOB.json RECORD.json`."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.devices import Job, Protocol, Record
from edgedistill.errors import UserError, reading

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgedistill.records import OperatorRow

_KEPT_INPUTS = 32


def main(order: Path, answer: Path) -> None:
    """Measure the job in file `order` and write the record into `answer`, in one rename; of an
    error that the user can mend, its message and hint."""
    try:
        job = _job(order)
        with reading(str(job.model), "the file is damaged or of another kind; export it again"):
            found = asdict(measure(job))
    except UserError as error:
        found = {"error": error.message, "hint": error.hint}
    scratch = answer.with_suffix(".part")
    scratch.write_text(json.dumps(found))
    os.replace(scratch, answer)


def _job(order: Path) -> Job:
    said = json.loads(order.read_text())
    paths = {key: Path(said[key]) for key in ("model", "inputs")}
    return Job(**{**said, **paths, "protocol": Protocol(**said["protocol"])})


def measure(job: Job) -> Record:
    """Load the job's file, run it on the job's inputs, and say what that took."""
    import numpy as np

    with np.load(job.inputs) as arrays:
        samples = {name: np.ascontiguousarray(arrays[name][:_KEPT_INPUTS]) for name in arrays}
    import_ms, _ = _timed(lambda: _import(job.runtime))
    empty = _begin_memory()
    cold_ms, loaded = _timed(lambda: _load(job))
    count = min(map(len, samples.values()))
    inputs = [
        loaded.encode({name: values[i : i + 1] for name, values in samples.items()})
        for i in range(count)
    ]
    latencies = _sample(loaded, inputs, job.protocol)
    peak = _peak_above(empty)
    warm_ms, _ = _timed(lambda: _load(job))
    record = Record(import_ms, cold_ms, warm_ms, latencies, peak)
    if not job.profile:
        return record
    # Outputs may be views of the runtime's own buffer, hence decoded one by one.
    outputs = [loaded.judged(loaded.decode(loaded.run(native))) for native in inputs]
    answered = np.concatenate(outputs).astype(float).tolist()
    return replace(record, operators=loaded.operators(), outputs=answered)


def _timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds that `action` took, and what it returned."""
    begin = time.perf_counter_ns()
    result = action()
    return (time.perf_counter_ns() - begin) / 1e6, result


def _sample(loaded: Any, inputs: list[Any], protocol: Protocol) -> list[float]:
    """Milliseconds of each run, after the warm-up."""
    for turn in range(protocol.warmup):
        loaded.run(inputs[turn % len(inputs)])
    samples: list[float] = []
    run, clock = loaded.run, time.perf_counter_ns
    end = clock() + protocol.seconds * 1e9
    while len(samples) < protocol.minimum or (len(samples) < protocol.runs and clock() < end):
        native = inputs[len(samples) % len(inputs)]
        begin = clock()
        run(native)
        samples.append((clock() - begin) / 1e6)
    return samples


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
            return self._module(*native)

    def decode(self, native: Any) -> Any:
        return native

    def judged(self, outputs: Any) -> Any:
        from edgedistill.models.programs import judged

        return judged(self._module, outputs).numpy()

    def operators(self) -> list[OperatorRow]:
        return []


def _begin_memory() -> int | None:
    """Resident bytes now, where the kernel's high-water mark starts anew; None without /proc."""
    import gc

    gc.collect()
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _status("VmRSS")


def _peak_above(empty: int | None) -> float | None:
    """The high-water mark above `empty`, in 10^6 bytes."""
    return None if empty is None else max(_status("VmHWM") - empty, 0) / 1e6


def _status(name: str) -> int:
    """A size in /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
