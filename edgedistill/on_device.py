"""Measure exported files on a device of the target's kind, beside the machine that compiles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from edgedistill.artifact import Artifact
from edgedistill.devices import (
    Device,
    Job,
    Protocol,
    Record,
    counts,
    figures,
    in_short,
    in_turn,
    in_words,
    lacking,
    open_device,
)
from edgedistill.errors import UserError
from edgedistill.progress import Reporter
from edgedistill.records import CountRow, Counts, OnDevice
from edgedistill.scratch import scratch_folder
from edgedistill.stages.benchmark import ROUNDS, Place, Subject, files_of, job_of, row
from edgedistill.target import Target


def opened_for(target: Target, asked: str | None, say: Callable[[str], None]) -> Device | None:
    """The device that is asked for, or else the target's own if everything that it needs is there;
    None where there is none, which is said.

    Raises UserError: the one asked for cannot be opened, or is of another instruction set.
    """
    name = asked or target.device
    if name is None:
        return None
    if asked is None:
        wanting = lacking(name)
        if wanting:
            doctor = f"`device doctor {name.partition(':')[0]}`"
            say(f"not measured on {target.name}: {wanting.told} ({doctor})")
            return None
    device = open_device(name)
    with device:
        identity = device.identity()
    if identity.isa != target.isa:
        raise UserError(
            f"{name} is {identity.isa}, and {target.name} is {target.isa}",
            "name a device of the target's kind, or compile for another target",
        )
    return device


def measured(
    device: Device, artifacts: dict[str, Artifact], config: Any, seed: int, reporter: Reporter
) -> OnDevice:
    """What another device tells of every exported file that it can run, with the inputs of the
    stage `benchmark`, whose config it is.

    Raises UserError: it runs none of them, one fails there, or the device is lost.
    """
    asked = config.benchmark
    protocol = Protocol(asked.warmup, asked.runs, asked.seconds, config.threads)
    files = list(files_of(artifacts["export"]))
    subjects = [subject for subject in files if subject.runtime in device.runtimes]
    if not subjects:
        raise UserError(
            f"{device.name} runs none of the exported files",
            f"it runs those of {' and '.join(device.runtimes)}; export one of them",
        )

    def tick(done: int, total: int, job: Job, record: Record) -> None:
        reporter.tick(device.name, done, total, in_short(job, record))

    with scratch_folder() as folder, device:
        place = Place(folder, artifacts["data"].path, seed)
        jobs = [job_of(subject, place, protocol) for subject in subjects]
        identity = device.identity()
        where = in_words(identity)
        found = in_turn(
            device, jobs, ROUNDS, tick,
            lambda job, error: reporter.say(f"{device.name}: left out: {error.message}"),
        )  # fmt: skip
        records = [(subject, record) for subject, record in zip(subjects, found, strict=True)
                   if record is not None]  # fmt: skip
    told = OnDevice(
        device.name, device.how, where, identity.isa, identity.flags, identity.system,
        identity.facts, identity.versions,
    )  # fmt: skip
    if device.how == "emulated":
        return replace(told, counts=tuple(_count(subject, counts(record, protocol, device, where))
                                          for subject, record in records))  # fmt: skip
    return replace(told, times=tuple(row(subject, figures(record, protocol, device, where))
                                     for subject, record in records))  # fmt: skip


def _count(subject: Subject, found: Counts) -> CountRow:
    return CountRow(
        **vars(found), runtime=subject.runtime, precision=subject.precision,
        file=str(subject.file), program=subject.program,
    )  # fmt: skip
