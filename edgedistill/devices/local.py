"""This machine: every job in a fresh Python process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from edgedistill.devices import Job, Record
from edgedistill.devices.machine import machine, name_of
from edgedistill.errors import UserError
from edgedistill.records import from_json
from edgedistill.scratch import scratch_folder

_PATIENCE = 600.0
"""Seconds that a job may take beside its measuring."""


def where() -> str:
    """The machine by its processor's name."""
    return f"this machine: {name_of(machine())}"


def run(job: Job) -> Record:
    """Run a job in a fresh process of this machine.

    Raises UserError: the runtime's package is missing, it cannot read the file, or the process
    died or took too long.
    """
    with scratch_folder() as folder:
        order, answer = folder / "job.json", folder / "record.json"
        order.write_text(json.dumps(asdict(job), default=lambda path: str(Path(path).resolve())))
        patience = _PATIENCE + job.protocol.seconds
        try:
            done = subprocess.run(
                [sys.executable, "-m", "edgedistill.devices.worker", str(order), str(answer)],
                env=_environment(job.protocol.threads),
                capture_output=True,
                text=True,
                errors="backslashreplace",
                timeout=patience,
            )
        except subprocess.TimeoutExpired:
            raise UserError(
                f"measuring {job.model.name} in {job.runtime} has not ended within {patience:g} s",
                "lower `runs` or `seconds`, if the model is slow; else the file may be damaged",
            ) from None
        if not answer.exists():
            said = done.stderr.strip().splitlines()[-1:] or ["without a word"]
            raise UserError(
                f"measuring {job.model.name} in {job.runtime}: the process died "
                f"({_ending(done.returncode)}): {said[0][:300]}",
                "the file is damaged or made to do that, or memory ran out",
            )
        found = json.loads(answer.read_text())
    if "error" in found:
        raise UserError(found["error"], found["hint"])
    return from_json(Record, found, str(job.model))


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


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
