"""A compile's student is reckoned with, whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made import data_record

from edgedistill.advice import reckoned
from edgedistill.devices import Device
from edgedistill.errors import UserError
from edgedistill.models import build, describe, save

Make = Callable[..., Any]


class Counting:
    """A device that counts instructions, and would have to be asked for them."""

    name, how, runtimes = "emulator", "emulated", ("litert",)


def compiled(make_result: Make) -> Any:
    """With a student that is there."""
    result = make_result("android-arm64")
    data = data_record("abc", 8, 1)
    student = build(result.recipe.student, 3, data.inputs)
    folder = result.artifacts["prune"].path / "model"
    save(student, folder, describe(result.recipe.student, 3, data.inputs))
    return result


def asked(result: Any, device: Any, folder: Path) -> tuple[Any, list[str]]:
    told: list[str] = []
    found = reckoned(result.recipe, result.target, result.artifacts, device, folder, told.append)
    return found, told


def test_without_a_device_padded_macs_are_taken_and_it_is_said(
    make_result: Make, tmp_path: Path
) -> None:
    found, told = asked(compiled(make_result), None, tmp_path)
    assert found.unit == "padded MACs" and not told
    assert "no device of android-arm64 was there to tell its prices" in found.basis


def test_a_device_that_fails_is_done_without(
    make_result: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise UserError("the core is gone", "plug it in")

    monkeypatch.setattr("edgedistill.advice.reckon.open_prices", fails)
    device: Device = Counting()  # type: ignore[assignment]
    found, _ = asked(compiled(make_result), device, tmp_path)
    assert found.unit == "padded MACs"
    assert "emulator does not tell its prices (the core is gone)" in found.basis


def test_a_device_that_takes_times_is_not_asked_unless_pruning_asks_it(
    make_result: Make, tmp_path: Path
) -> None:
    device = Counting()
    device.how = "measured"
    found, _ = asked(compiled(make_result), device, tmp_path)
    assert "is asked for prices where pruning goes by them" in found.basis


def test_a_student_that_cannot_be_read_costs_nobody_a_compile(
    make_result: Make, tmp_path: Path
) -> None:
    found, (told,) = asked(make_result(), None, tmp_path)
    assert found is None and told.startswith("no advice on costs: ")
