"""Which device a compile measures on."""

from __future__ import annotations

from typing import Any

import pytest

from edgedistill.devices import DEVICES, DeviceEntry, Finding, Identity
from edgedistill.errors import UserError
from edgedistill.on_device import opened_for
from edgedistill.target import load_target

PHONE = load_target("android-arm64").model_copy(update={"device": "pretend"})
HERE: list[Finding] = []
"""What the device finds of all that it needs."""


class Pretend:
    name, how, runtimes = "pretend", "measured", ("litert",)

    def __init__(self, isa: str) -> None:
        self.isa = isa

    def __enter__(self) -> Pretend:
        return self

    def __exit__(self, *_: object) -> None: ...

    def identity(self) -> Identity:
        return Identity("a phone", self.isa)


def open_device(argument: str) -> Any:
    return Pretend(argument or "aarch64")


def examine() -> list[Finding]:
    return HERE


@pytest.fixture(autouse=True)
def table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DEVICES, "pretend", DeviceEntry("pretend", "ISA", "", __name__))
    monkeypatch.setattr(f"{__name__}.HERE", [Finding("cable", True, "is in")])


def test_the_target_s_own_device_is_taken_where_it_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[str] = []
    found = opened_for(PHONE, None, told.append)
    assert found is not None and found.name == "pretend"
    assert told == []
    monkeypatch.setattr(f"{__name__}.HERE", [Finding("cable", False, "no cable is in", "plug")])
    assert opened_for(PHONE, None, told.append) is None
    assert told == ["not measured on android-arm64: no cable is in (`device doctor pretend`)"]


def test_a_target_without_a_device_is_measured_nowhere_else() -> None:
    assert opened_for(load_target("linux-x64"), None, print) is None


def test_the_one_that_is_asked_for_must_be_the_target_s_kind() -> None:
    found = opened_for(load_target("linux-x64"), "pretend:x86_64", print)
    assert found is not None and found.identity().isa == "x86_64"
    with pytest.raises(UserError) as error:
        opened_for(PHONE, "pretend:x86_64", print)
    assert error.value.message == "pretend:x86_64 is x86_64, and android-arm64 is aarch64"


@pytest.mark.parametrize("name", ["phone", "pretend:", "local:x"])
def test_a_device_that_is_none_is_told_before_anything_runs(name: str) -> None:
    with pytest.raises(UserError):
        opened_for(PHONE, name, print)
