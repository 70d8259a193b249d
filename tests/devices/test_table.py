"""The table of devices, and how they are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgedistill.devices import (
    DEVICES,
    Identity,
    Job,
    Protocol,
    Record,
    Unfit,
    examined,
    in_turn,
    open_device,
    set_up,
)
from edgedistill.errors import UserError


def test_the_devices_are_these() -> None:
    assert list(DEVICES) == ["local", "adb", "ssh", "emulator", "browser"]


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        ("phone", "unknown device `phone`", "`edgedistill device list`"),
        ("emulater:cortex-a76", "unknown device `emulater`", "did you mean `emulator`?"),
        ("local:here", "`local:here` names no device", "write `local`"),
        ("ssh:", "`ssh:` names no device", "write `ssh:HOST`"),
        ("", "unknown device ``", "device list"),
    ],
)
def test_what_names_no_device_is_told(asked: str, message: str, hint: str) -> None:
    with pytest.raises(UserError) as error:
        open_device(asked)
    assert error.value.message == message
    assert hint in error.value.hint


def test_the_doctor_looks_at_one_or_at_all() -> None:
    assert list(examined()) == list(DEVICES)
    (rows,) = examined("local").values()
    assert all(row.ok for row in rows)
    with pytest.raises(UserError, match="unknown device `table`"):
        examined("table")


def test_nothing_is_set_up_for_this_machine() -> None:
    with pytest.raises(UserError) as error:
        set_up("local", print)
    assert error.value.message == "nothing is to be set up for `local`"
    assert "adb, ssh, emulator, browser" in error.value.hint


class Picky:
    """A device that runs files of one name alone."""

    name, how, runtimes = "picky", "measured", ("onnxruntime",)

    def __enter__(self) -> Picky:
        return self

    def __exit__(self, *_: object) -> None: ...

    def identity(self) -> Identity:
        return Identity("a picky one", "none")

    def run(self, job: Job) -> Record:
        if job.model.stem != "good":
            raise Unfit(f"{job.model.name} is none of mine", "rename it")
        return Record(1.0, 1.0, [] if job.memory else [1.0], 2.0)


def job(name: str) -> Job:
    return Job(Path(f"{name}.onnx"), "onnxruntime", Path("none.npz"), Protocol(minimum=1))


def test_a_file_that_is_unfit_is_left_out_aloud() -> None:
    told: list[tuple[str, str]] = []
    none, found = in_turn(
        Picky(), [job("bad"), job("good")], rounds=2,
        left_out=lambda each, error: told.append((each.model.name, error.message)),
    )  # fmt: skip
    assert none is None
    assert found is not None and (found.samples_ms, found.peak_memory_mb) == ([1.0, 1.0], 2.0)
    assert told == [("bad.onnx", "bad.onnx is none of mine")]


def test_where_every_file_is_unfit_the_reason_is_raised() -> None:
    with pytest.raises(Unfit, match=r"bad\.onnx is none of mine"):
        in_turn(Picky(), [job("bad")])
