"""Several jobs on one device, measured in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from edgedistill.devices.figures import percentile
from edgedistill.devices.job import Device, Job, Protocol, Record, Unfit

Tick = Callable[[int, int, Job, Record], None]
"""(how many are done, of how many, what was measured last, what came)."""
LeftOut = Callable[[Job, Unfit], None]
"""(what cannot be measured, why)."""


def in_short(job: Job, record: Record) -> str:
    """What a round of a job brought, in a few words."""
    about = f"{job.model.name} in {job.runtime}: "
    if record.samples_ms:
        median = percentile(record.samples_ms, 50)
        return f"{about}{median:.3g} ms, {len(record.samples_ms)} runs"
    if record.summary:
        return f"{about}{record.summary.p50_ms:.3g} ms, {record.summary.runs} runs"
    if record.instructions:
        return f"{about}{record.instructions['all']:,.0f} instructions"
    if record.peak_memory_mb is not None:
        return f"{about}{record.peak_memory_mb:.3g} MB"
    return f"{about}answered"


def in_turn(
    device: Device,
    jobs: Sequence[Job],
    rounds: int = 3,
    tick: Tick = lambda done, total, job, record: None,
    left_out: LeftOut = lambda job, error: None,
) -> list[Record | None]:
    """Measure jobs in rounds, one after the other in each, so that what slows the device for a
    while slows all of them and ratios stay fair. Each round of each job is a process of its own,
    after which `tick` is told of it. A device that counts instructions gets one round, and each
    other a further one for memory alone. Of a job that is unfit for the device, None comes back,
    and `left_out` is told why.

    Raises UserError as `Device.run` does, and where every job is unfit.
    """
    extra = device.how == "measured"
    rounds = rounds if device.how == "measured" else 1
    found: list[list[Record] | None] = [[] for _ in jobs]
    for turn in range(rounds + extra):
        for place, job in enumerate(jobs):
            records = found[place]
            if records is None:
                continue
            asked = _share(job, rounds, turn)
            try:
                record = device.run(asked)
            except Unfit as error:
                found[place] = None
                if not any(records is not None for records in found):
                    raise
                left_out(job, error)
                continue
            records.append(record)
            tick(turn * len(jobs) + place + 1, (rounds + extra) * len(jobs), asked, record)
    return [None if records is None else _joined(records, rounds) for records in found]


def _share(job: Job, rounds: int, turn: int) -> Job:
    """A job's part in a round; after the last one, memory."""
    protocol: Protocol = replace(
        job.protocol,
        runs=-(-job.protocol.runs // rounds),
        seconds=job.protocol.seconds / rounds,
        minimum=-(-job.protocol.minimum // rounds),
        minimum_seconds=job.protocol.minimum_seconds / rounds,
    )
    profile = job.profile and turn == 0
    return replace(job, protocol=protocol, profile=profile, memory=turn == rounds)


def _joined(records: list[Record], rounds: int) -> Record:
    """One record of the rounds: samples together, loads by their median, memory by the run that
    took no times."""
    timed, rest = records[:rounds], records[rounds:]
    return replace(
        timed[0],
        import_ms=_median([record.import_ms for record in timed]),
        cold_load_ms=_median([record.cold_load_ms for record in timed]),
        warm_load_ms=_median([record.warm_load_ms for record in timed]),
        samples_ms=[sample for record in timed for sample in record.samples_ms],
        warmup_ms=[sample for record in timed for sample in record.warmup_ms],
        conditions=[each for record in timed for each in record.conditions],
        peak_memory_mb=next((record.peak_memory_mb for record in rest), None),
    )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return percentile(known, 50) if known else None
