"""The measuring process: `python -m edgedistill.devices.worker JOB.json RECORD.json`."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from edgedistill.errors import UserError, reading

_KEPT_INPUTS = 32


def main(order: Path, answer: Path) -> None:
    """Measure the job in file `order` and write the record into `answer`, in one rename; of an
    error that the user can mend, its message and hint."""
    try:
        job = json.loads(order.read_text())
        with reading(job["model"], "the file is damaged or of another kind; export it again"):
            found = measure(job)
    except UserError as error:
        found = {"error": error.message, "hint": error.hint}
    scratch = answer.with_suffix(".part")
    scratch.write_text(json.dumps(found))
    os.replace(scratch, answer)


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """A job (the fields of `devices.Job`) to a record (the fields of `devices.Record`)."""
    import numpy as np

    protocol = job["protocol"]
    with np.load(job["inputs"]) as arrays:
        samples = {name: np.ascontiguousarray(arrays[name][:_KEPT_INPUTS]) for name in arrays}
    import_ms, _ = _timed(lambda: _import(job["runtime"]))
    empty = _begin_memory()
    cold_ms, loaded = _timed(lambda: _load(job))
    count = min(map(len, samples.values()))
    inputs = [
        loaded.encode({name: values[i : i + 1] for name, values in samples.items()})
        for i in range(count)
    ]
    latencies = _sample(loaded, inputs, protocol)
    peak = _peak_above(empty)
    warm_ms, _ = _timed(lambda: _load(job))
    details: dict[str, Any] = {}
    if job["profile"]:
        # Outputs may be views of the runtime's own buffer, hence decoded one by one.
        outputs = [loaded.judged(loaded.decode(loaded.run(native))) for native in inputs]
        details["outputs"] = np.concatenate(outputs).astype(float).tolist()
        details["operators"] = [
            asdict(row) if is_dataclass(row) and not isinstance(row, type) else dict(row)
            for row in loaded.operators()
        ]
    return {
        "import_ms": import_ms,
        "cold_load_ms": cold_ms,
        "warm_load_ms": warm_ms,
        "samples_ms": latencies,
        "peak_memory_mb": peak,
        **details,
    }


def _timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Milliseconds that `action` took, and what it returned."""
    begin = time.perf_counter_ns()
    result = action()
    return (time.perf_counter_ns() - begin) / 1e6, result


def _sample(loaded: Any, inputs: list[Any], protocol: dict[str, Any]) -> list[float]:
    """Milliseconds of each run, after the warm-up."""
    for turn in range(protocol["warmup"]):
        loaded.run(inputs[turn % len(inputs)])
    samples: list[float] = []
    run, clock = loaded.run, time.perf_counter_ns
    end = clock() + protocol["seconds"] * 1e9
    while len(samples) < protocol["minimum"] or (len(samples) < protocol["runs"] and clock() < end):
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


def _load(job: dict[str, Any]) -> Any:
    model, threads = Path(job["model"]), job["protocol"]["threads"]
    if job["runtime"] == "torch":
        return _Torch(model, threads)
    from edgedistill.runtimes import RUNTIMES

    return RUNTIMES[job["runtime"]].load(model, threads=threads, program=job["program"])


class _Torch:
    """A model folder as torch runs it, in the shape of a loaded runtime file."""

    def __init__(self, folder: Path, threads: int) -> None:
        import torch

        from edgedistill.models import load

        torch.set_num_threads(threads)
        self._torch = torch
        self._module = load(folder).eval()

    def encode(self, inputs: dict[str, Any]) -> Any:
        return [self._torch.from_numpy(values) for values in inputs.values()]

    def run(self, native: Any) -> Any:
        with self._torch.inference_mode():
            return self._module(*native)

    def decode(self, native: Any) -> Any:
        return native

    def judged(self, outputs: Any) -> Any:
        return outputs.numpy()

    def operators(self) -> list[dict[str, Any]]:
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
