"""The table of devices, and how they are named."""

from __future__ import annotations

import pytest

from edgedistill.devices import DEVICES, examined, open_device, set_up
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
