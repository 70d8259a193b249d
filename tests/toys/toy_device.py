"""A device: one file, one line of `devices.DEVICES`."""

from __future__ import annotations

from typing import Any


def run(job: Any) -> Any:
    from edgedistill.devices import Record

    return Record(1.0, 2.0, 3.0, [0.5] * job.protocol.runs, None)


def where() -> str:
    return "a toy"
