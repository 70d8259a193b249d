"""A device: one file, one line of `devices.DEVICES`."""

from __future__ import annotations

from typing import Any


class Toy:
    name, how, runtimes, runs_programs = "toy", "measured", ("onnxruntime",), False

    def __enter__(self) -> Toy:
        return self

    def __exit__(self, *_: object) -> None: ...

    def identity(self) -> Any:
        from edgedistill.devices import Identity

        return Identity("a toy", "none")

    def run(self, job: Any) -> Any:
        from edgedistill.devices import Record

        if job.memory:
            return Record(None, None, [], 7.0)
        return Record(2.0, 3.0, [0.5] * job.protocol.runs, None)


def open_device(argument: str) -> Toy:
    return Toy()


def examine() -> list[Any]:
    return []
