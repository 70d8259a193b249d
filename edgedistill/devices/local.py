"""This machine: every job in a fresh Python process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from edgedistill.devices import Job, Record
from edgedistill.devices.machine import machine, name_of
from edgedistill.errors import UserError

_PATIENCE = 600.0
"""Seconds that a job may take beside its measuring."""


def where() -> str:
    return f"this machine: {name_of(machine())}"


def run(job: Job) -> Record:
    """Run a job in a fresh process of this machine.

    Raises UserError: the runtime's package is missing, or it cannot read the file.
    RuntimeError: the process died, with the end of what it said.
    """
    with tempfile.TemporaryDirectory(prefix="edgedistill-job-") as folder:
        order, answer = Path(folder, "job.json"), Path(folder, "record.json")
        order.write_text(json.dumps(asdict(job), default=lambda path: str(Path(path).resolve())))
        done = subprocess.run(
            [sys.executable, "-m", "edgedistill.devices.worker", str(order), str(answer)],
            env=_environment(job.protocol.threads),
            capture_output=True,
            text=True,
            timeout=_PATIENCE + job.protocol.seconds,
        )
        if not answer.exists():
            raise RuntimeError(
                f"measuring {job.model.name} in {job.runtime} failed "
                f"(exit code {done.returncode}):\n{done.stderr[-2000:]}"
            )
        found = json.loads(answer.read_text())
    if "error" in found:
        raise UserError(found["error"], found["hint"])
    return Record(**found)


def _environment(threads: int) -> dict[str, str]:
    """The process's environment: this very package, whatever else can be imported here (the user's
    own code beside a recipe), and thread pools of the wanted size."""
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, *(str(Path(path).resolve()) for path in sys.path if path)]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": "1",
    }
