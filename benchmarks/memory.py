"""Memory of each runtime and program, as devices report it, beside a look from outside.

Ours is what a process tells of itself: its peak from the loaded runtime on, through a load and a
few runs. The look is the kernel's, of the same process when it has ended: `/usr/bin/time -v`, less
that of one that loads the runtime and finds no file. Of the Python packages there is a second look,
at a few lines that know nothing of edgedistill, and what a second copy of the file beside the first
adds to them. (Debian: `apt-get install time`.)

    python -m benchmarks.memory NAME=BUNDLE ...
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.common import write
from edgedistill.artifact import file_digest
from edgedistill.bundle.measure import Subject, _jobs, subjects
from edgedistill.devices import Job, Protocol, native
from edgedistill.devices.machine import machine

TIMES = 3
GOAL = 0.1
ABSENT = "absent"
RUNS = 3
PRECISIONS = ("fp32", "int8")
ROOT = Path(__file__).parents[1]
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
"""Looks from outside in kB: `full`, `empty`; then `ours`, in MB, of the process of `full`; of plain
programs `plain`, `plain_empty` and `twice`."""


def of_runner(job: Job, folder: Path) -> Sides:
    isa = machine()["isa"]
    ready = native.prepared(job, folder)
    beside = str(native.libraries(job.runtime, isa)[0].parent)
    command = [str(native.runner(isa)), *ready.arguments(isa, beside)]
    without = [ABSENT if word == ready.files[0].name else word for word in command]

    def ours() -> float:
        found = native.answered(ready, folder).peak_memory_mb
        assert found is not None
        return found

    return {"empty": lambda: look(without, folder), "full": lambda: look(command, folder),
            "ours": ours}  # fmt: skip


def of_python(job: Job, folder: Path) -> Sides:
    """The device's own process, and the plain program."""
    answer = folder / "record.json"

    def worker(name: str, model: Path) -> list[str]:
        order = folder / f"{name}.json"
        asked = asdict(replace(job, model=model))
        order.write_text(json.dumps(asked, default=lambda path: str(Path(path).absolute())))
        return [sys.executable, "-m", "edgedistill.devices.worker", str(order), str(answer)]

    def plain(copies: int) -> int:
        words = [str(job.model.resolve()), job.program, str(copies), str(RUNS)]
        return look([sys.executable, "-c", BEGIN + PLAIN[job.runtime], *words], folder)

    full, empty = worker("job", job.model), worker("empty", folder / ABSENT)
    return {"empty": lambda: look(empty, ROOT), "full": lambda: look(full, ROOT),
            "ours": lambda: float(json.loads(answer.read_text())["peak_memory_mb"]),
            "plain_empty": lambda: plain(0), "plain": lambda: plain(1),
            "twice": lambda: plain(2)}  # fmt: skip


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
    plain: dict[str, float] = {}
    if "plain" in found:
        plain["plain_mb"] = between("plain", "plain_empty")
        plain["second_mb"] = between("twice", "plain")
    return {
        "name": f"{name}, {subject.program}, {subject.precision}",
        "runtime": subject.runtime,
        "by": by,
        "program": subject.program,
        "precision": subject.precision,
        "file": subject.path.name,
        "peak_memory_mb": ours,
        "from_outside_mb": seen,
        **plain,
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
        found = [each for each in subjects(Path(bundle)) if each.precision in PRECISIONS]
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
