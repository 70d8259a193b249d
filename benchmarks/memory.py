"""Memory of each runtime and program, as devices report it, beside a look from outside.

Ours is what a process tells of itself: its peak from the loaded runtime on, through a load and a
few runs. The look is the kernel's, of the whole process when it has ended: `/usr/bin/time -v`, less
that of one that loads the runtime and no file. Of the native runner it is the same program, given a
file that is not there; of a Python package a few lines that know nothing of edgedistill. (Debian:
`apt-get install time`.)

    python -m benchmarks.memory NAME=BUNDLE ...
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.common import write
from edgedistill.artifact import file_digest
from edgedistill.bundle.measure import Subject, _jobs, subjects
from edgedistill.devices import Job, Protocol, native
from edgedistill.devices.local import Local
from edgedistill.devices.machine import machine

TIMES = 3
GOAL = 0.1
ABSENT = "absent"
RUNS = 3
PLAIN = {
    "litert": """
from ai_edge_litert.interpreter import Interpreter
for _ in range(copies):
    interpreter = Interpreter(model_content=open(path, "rb").read(), num_threads=1)
    interpreter.allocate_tensors()
    known = interpreter.get_signature_list()
    run = interpreter.get_signature_runner(program if program in known else None)
    ends = run.get_input_details()
    zeros = {name: numpy.zeros(each["shape"], each["dtype"]) for name, each in ends.items()}
    for _ in range(runs):
        run(**zeros)
    kept.append(run)
""",
    "onnxruntime": """
import onnxruntime
for _ in range(copies):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    types = {"tensor(float)": "float32", "tensor(int8)": "int8", "tensor(uint8)": "uint8"}
    zeros = {each.name: numpy.zeros([size if isinstance(size, int) else 1 for size in each.shape],
                                    types[each.type]) for each in session.get_inputs()}
    for _ in range(runs):
        session.run(None, zeros)
    kept.append(session)
""",
    "openvino": """
import openvino
for _ in range(copies):
    settings = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.compile_model(openvino.Core().read_model(path), "CPU", settings)
    request = request.create_infer_request()
    ends = request.model_inputs
    zeros = [numpy.zeros(each.shape, each.element_type.to_dtype()) for each in ends]
    for _ in range(runs):
        request.infer(zeros)
    kept.append(request)
""",
}
"""Programs in the runtimes' own words, that load and run a file so many times beside each other."""
BEGIN = """
import sys, numpy
path, program, copies, runs, kept = *sys.argv[1:3], int(sys.argv[3]), int(sys.argv[4]), []
"""


def look(command: list[str], folder: Path) -> int:
    """Peak resident memory of a whole process, in kB of 1,024 bytes."""
    done = subprocess.run(
        ["/usr/bin/time", "-v", *command], cwd=folder, capture_output=True, text=True
    )
    found = re.search(r"Maximum resident set size \(kbytes\): (\d+)", done.stderr)
    assert found is not None, done.stderr
    if done.returncode and ABSENT not in command:
        raise RuntimeError(done.stderr)
    return int(found[1])


Sides = dict[str, Callable[[], float]]
"""`ours` in MB; looks from outside in kB: `full`, `empty`, and `twice` with two of the file."""


def of_runner(job: Job, folder: Path) -> Sides:
    isa = machine()["isa"]
    ready = native.prepared(job, folder)
    beside = str(native.libraries(job.runtime, isa)[0].parent)
    command = [str(native.runner(isa)), *ready.arguments(isa, beside)]
    without = [ABSENT if word == ready.files[0].name else word for word in command]

    def ours() -> float:
        subprocess.run(command, cwd=folder, check=True)
        found = native.answered(ready, folder).peak_memory_mb
        assert found is not None
        return found

    return {"ours": ours, "full": lambda: look(command, folder),
            "empty": lambda: look(without, folder)}  # fmt: skip


def of_python(job: Job, folder: Path) -> Sides:
    script = BEGIN + PLAIN[job.runtime]

    def command(copies: int) -> list[str]:
        path = str(job.model.resolve())
        return [sys.executable, "-c", script, path, job.program, str(copies), str(RUNS)]

    def ours() -> float:
        found = Local().run(job).peak_memory_mb
        assert found is not None
        return found

    return {"ours": ours, "full": lambda: look(command(1), folder),
            "empty": lambda: look(command(0), folder),
            "twice": lambda: look(command(2), folder)}  # fmt: skip


def row(name: str, subject: Subject, by: str, sides: Sides) -> dict[str, Any]:
    """Medians of what each side found, in turn."""
    found: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(TIMES):
        for side, take in sides.items():
            found[side].append(take())

    def between(more: str, less: str) -> float:
        kb = statistics.median(found[more]) - statistics.median(found[less])
        return kb * 1024 / 1e6

    ours, seen = statistics.median(found["ours"]), between("full", "empty")
    second = {"second_mb": between("twice", "full")} if "twice" in found else {}
    return {
        "name": f"{name}, {subject.program}, {subject.precision}",
        "runtime": subject.runtime,
        "by": by,
        "program": subject.program,
        "precision": subject.precision,
        "file": subject.path.name,
        "peak_memory_mb": ours,
        "from_outside_mb": seen,
        **second,
        "apart_percent": 100 * (ours / seen - 1),
        "within": abs(ours / seen - 1) <= GOAL,
        "samples": found,
    }


def rows_of(name: str, found: list[Subject], folder: Path) -> list[dict[str, Any]]:
    rows = []
    for place, (subject, job) in enumerate(
        zip(found, _jobs(found, folder, Protocol()), strict=True)
    ):
        ways: dict[str, Callable[[Job, Path], Sides]] = {"Python": of_python}
        if subject.runtime in ("litert", "onnxruntime"):
            ways["runner"] = of_runner
        for by, way in ways.items():
            own = folder / f"{place}-{by}"
            own.mkdir()
            rows.append(row(name, subject, by, way(replace(job, memory=True), own)))
            print({key: value for key, value in rows[-1].items() if key != "samples"}, flush=True)
    return rows


def main() -> int:
    bundles = dict(argument.split("=", 1) for argument in sys.argv[1:])
    rows, digests = [], {}
    for name, bundle in bundles.items():
        found = subjects(Path(bundle))
        digests[name] = {each.path.name: file_digest(each.path) for each in found}
        with tempfile.TemporaryDirectory() as folder:
            rows += rows_of(name, found, Path(folder))
    beyond = [f"{each['name']}, {each['runtime']}, {each['by']}" for each in rows
              if not each["within"]]  # fmt: skip
    write("memory", rows, seeds=[0], files=digests, times=TIMES, goal=GOAL, beyond=beyond)
    print(f"more than {GOAL:.0%} apart: {beyond or 'none'}")
    return int(bool(beyond))


if __name__ == "__main__":
    sys.exit(main())
