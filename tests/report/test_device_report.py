"""What a device of the target's kind told, in the contract, the warnings, the terminal and the
page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from made import measurement_row

from edgedistill.records import CountRow, OnDevice, OperatorRow
from edgedistill.report import build_report, summary
from edgedistill.report.page import page

Make = Callable[..., Any]


def told(how: Any, device: str, **rows: Any) -> OnDevice:
    return OnDevice(device, how, "a phone", "aarch64", ("dotprod",), "Android 15",
                    {"soc": "Tensor"}, {}, **rows)  # fmt: skip


def timed(precision: str, p50_ms: float, **other: Any) -> Any:
    fields = {"peak_memory_mb": 7.0, "device": "adb", "where": "a phone", **other}
    return measurement_row(precision=precision, p50_ms=p50_ms, **fields)


def counted(precision: str, count: float) -> CountRow:
    return CountRow(
        instructions={"all": count, "sdot": count / 2, "fmla": 0.0}, threads=1, how="emulated",
        where="a core", device="emulator:cortex-a76", runtime="onnxruntime", precision=precision,
        file=f"tiny.{precision}.onnx",
    )  # fmt: skip


@pytest.fixture
def phone() -> OnDevice:
    return told("measured", "adb", times=(timed("fp32", 3.0), timed("int8", 6.0)))


@pytest.fixture
def core() -> OnDevice:
    rows = (counted("fp32", 5_000_000.0), counted("int8", 2_000_000.0))
    return told("emulated", "emulator:cortex-a76", counts=rows)


def lines(result: Any) -> dict[str, Any]:
    return {line.name: line for line in build_report(result).contract}


def test_the_contract_is_held_against_the_device(make_result: Make, phone: OnDevice) -> None:
    limits = {"max_latency_ms": 5, "max_memory_mb": 8}
    result = make_result("android-arm64", contract=limits)
    assert lines(result)["latency"].status == "not measured"
    assert lines(result)["latency"].note == (
        "this machine is not android-arm64; `--device` measures on one that is"
    )
    found = lines(replace(result, on_device=phone))
    assert (found["latency"].status, found["latency"].value) == ("missed", 6.0)
    assert found["latency"].note == "adb: a phone"
    assert (found["memory"].status, found["memory"].value) == ("ok", 7.0)


def test_instructions_are_no_latency(make_result: Make, core: OnDevice) -> None:
    result = replace(make_result("android-arm64", contract={"max_latency_ms": 5}), on_device=core)
    line = lines(result)["latency"]
    assert line.status == "not measured"
    assert line.note == "emulator:cortex-a76 counts instructions, and tells no times"


def slower(result: Any) -> list[str]:
    return [text for text in build_report(result).warnings if "slower than fp32" in text]


def test_a_warning_about_speed_comes_from_the_device(
    make_result: Make, phone: OnDevice, core: OnDevice
) -> None:
    result = make_result("android-arm64")
    slow = {"tiny.int8.onnx": 9.0}
    assert slower(replace(result, on_device=core)) == []
    assert slower(replace(result, on_device=phone)) == [
        "tiny.int8.onnx: slower than fp32 in onnxruntime on adb (6 against 3 ms)"
    ]
    report = build_report(result)
    rows = tuple(
        replace(row, p50_ms=slow.get(str(row.file), row.p50_ms)) for row in report.measurements
    )
    from edgedistill.report.warnings import _slower

    (text,) = _slower(replace(report, measurements=rows))
    assert "on this machine, which is not android-arm64 (9 against" in text


def test_terminal_and_page_show_what_the_device_told(
    make_result: Make, phone: OnDevice, core: OnDevice
) -> None:
    result = make_result("android-arm64")
    report = build_report(replace(result, on_device=phone))
    for text in (summary(report, 100), page(report)):
        assert "On adb, measured: a phone" in text
        assert "7.0" in text
    assert "soc: Tensor." in page(report)
    report = build_report(replace(result, on_device=core))
    for text in (summary(report, 100), page(report)):
        assert "2,000.0" in text
        assert "sdot" in text
        assert "fmla" not in text
        assert "nothing of how fast" in " ".join(text.split())


def test_samples_that_are_too_few_are_told(make_result: Make) -> None:
    rows = (timed("int8", 6.0, shortfall="12 of 1,024 runs"),)
    result = replace(make_result("android-arm64"), on_device=told("measured", "adb", times=rows))
    assert "Not valid: tiny.int8.onnx: 12 of 1,024 runs." in summary(build_report(result), 100)


def test_an_operator_that_no_delegate_took_misses_the_contract_by_name(
    make_result: Make, phone: OnDevice
) -> None:
    taken = OperatorRow("conv", "CONV_2D", "int8", 9.0, "XNNPACK")
    left = OperatorRow("tile", "TILE", "int8", 1.0, "CPU builtin")
    result = make_result("android-arm64")
    target = result.target.model_copy(update={"require_full_delegation": True})
    for operators, status, note in (
        ((taken, left), "missed", "TILE tile; 10 % of the time"), ((taken,), "ok", ""),
    ):  # fmt: skip
        times = tuple(replace(row, operators=operators) for row in phone.times)
        measured = replace(result, target=target, on_device=replace(phone, times=times))
        line = lines(measured)["delegation"]
        assert (line.status, line.note) == (status, note)
    assert "delegation" not in lines(result)
