"""This machine: every job in a fresh Python process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from edgedistill.devices import benchmark_model
from edgedistill.devices.findings import Finding
from edgedistill.devices.job import BenchmarkModel, Conditions, Identity, Job, Record
from edgedistill.devices.machine import machine
from edgedistill.devices.worker import OUTPUTS
from edgedistill.errors import UserError
from edgedistill.records import How, OperatorRow
from edgedistill.runtime_table import TABLE
from edgedistill.scratch import scratch_folder

_PATIENCE = 600.0
"""Seconds that a job may take beside its measuring."""


def open_device(argument: str) -> Local:
    """This machine; there is nothing more to say of it."""
    return Local()


def examine() -> list[Finding]:
    """Every runtime's package, as it is installed."""
    here, rows = machine()["versions"], []
    for entry in TABLE.values():
        found = here.get(entry.runs_in)
        if entry.extra and not found:
            continue  # nobody asked for it
        told = f"{entry.runs_in} {found}" if found else f"{entry.runs_in} is not installed"
        rows.append(Finding(entry.name, bool(found), told, entry.install))
    return rows


class Local:
    """Every job in a fresh Python process."""

    name = "local"
    how: How = "measured"
    runs_programs = True
    runtimes = ("torch", *(name for name, entry in TABLE.items() if not entry.elsewhere))

    def __enter__(self) -> Local:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def identity(self) -> Identity:
        """The machine as `machine` finds it."""
        here = machine()
        return Identity(
            f"this machine: {here['processor']}", here["isa"], tuple(here["flags"]),
            f"{here['cores']} cores", {"kernel": here["system"]}, here["versions"],
        )  # fmt: skip

    def run(self, job: Job) -> Record:
        """Run a job in a fresh process of this machine.

        Raises UserError: the runtime's package is missing, it cannot read the file, or the process
        died or took too long.
        """
        with scratch_folder() as folder:
            before = Conditions(-1.0, {"load": os.getloadavg()[0]})
            if job.by:
                return replace(_by_program(job, job.by, folder), conditions=[before])
            found = _answer(job, folder)
            if "error" in found:
                raise UserError(found["error"], found["hint"])
            return _record(found, folder / OUTPUTS, before)


def _record(found: dict[str, Any], outputs: Path, before: Conditions) -> Record:
    import numpy as np

    from edgedistill.signature import Signature

    found["operators"] = [OperatorRow(**row) for row in found["operators"]]
    if found["signature"] is not None:
        found["signature"] = TypeAdapter(Signature).validate_python(found["signature"])
    arrays = dict(np.load(outputs)) if outputs.exists() else {}
    return Record(**found, outputs=arrays, conditions=[before])


def _answer(job: Job, folder: Path) -> Any:
    """What the worker writes of a job."""
    order, answer = folder / "job.json", folder / "record.json"
    order.write_text(json.dumps(asdict(job), default=lambda path: str(Path(path).resolve())))
    words = [sys.executable, "-m", "edgedistill.devices.worker", str(order), str(answer)]
    done = _ended(job, words, env=environment(job.protocol.threads))
    if not answer.exists():
        raise UserError(
            f"{job.doing}: the process died ({ending(done.returncode)}): {last_words(done.stderr)}",
            "the file is damaged or made to do that, or memory ran out",
        )
    return json.loads(answer.read_text())


def _by_program(job: Job, by: BenchmarkModel, folder: Path) -> Record:
    """By a program of the user's, which is copied, as it may not be marked as one."""
    order = benchmark_model.order(job, by, folder)
    for name, path in order.lasting.items():
        shutil.copyfile(path, folder / name)
        (folder / name).chmod(0o700)
    try:
        done = _ended(job, order.command(order.files[0].name), cwd=folder)
    except OSError as error:
        raise UserError(f"{job.doing}: {error.strerror}", order.hint) from error
    if done.returncode:
        said = last_words(order.telling(done.stdout + done.stderr))
        how = f"{order.who} died ({ending(done.returncode)}): " if done.returncode < 0 else ""
        raise UserError(f"{job.doing}: {how}{said}", order.hint)
    return order.read(folder)


def _ended(
    job: Job, words: list[str], env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """A process of a job. Raises UserError: it took too long."""
    patience = _PATIENCE + max(job.protocol.seconds, job.protocol.minimum_seconds)
    try:
        return subprocess.run(
            words, env=env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            errors="backslashreplace", timeout=patience,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise UserError(
            f"{job.doing} has not ended within {patience:g} s",
            "lower `runs` or `seconds`, if the model is slow; else the file may be damaged",
        ) from None


def last_words(printed: str) -> str:
    """The last line of what a process printed."""
    return (printed.strip().splitlines() or ["without a word"])[-1].strip()[:300]


def ending(code: int) -> str:
    """How a process ended, in words."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def environment(threads: int) -> dict[str, str]:
    """Of a measuring process: this very package, whatever else can be imported here (the user's own
    code beside a recipe), and thread pools of the wanted size."""
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, *(str(Path(path).resolve()) for path in sys.path if path)]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": "1",
    }
