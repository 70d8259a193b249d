"""Operators that cost the target more than their work is worth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from advising import given, only, reckoned

from edgedistill.advice import Facts
from edgedistill.advice.operators import operators
from edgedistill.records import CountRow, LeftOver, OnDevice, OperatorRow

Make = Callable[..., Facts]


def ran(kind: str, name: str, instructions: float) -> OperatorRow:
    return OperatorRow(name, kind, "int8", None, "XNNPACK", instructions)


CONV = ran("Convolution (NHWC, QC8)", "conv", 900.0)


def counted(
    make_facts: Make, *rows: OperatorRow, left: Sequence[LeftOver] = (), **other: Any
) -> Facts:
    """A compile whose shipped file a device counted: 1,000 instructions."""
    row = CountRow(
        instructions={"all": 1000.0}, threads=1, how="emulated", where="a core", device="emulator",
        runtime="onnxruntime", precision="int8", file="tiny.int8.onnx", operators=rows,
        left=tuple(left),
    )  # fmt: skip
    there = OnDevice("emulator", "emulated", "a core", "aarch64", (), "Linux", {}, {},
                     counts=(row,))  # fmt: skip
    return make_facts(report={"on_device": there}, **other)


def test_activations_that_are_computed_by_themselves(make_facts: Make) -> None:
    found = only(operators, counted(make_facts, CONV, ran("Sigmoid (NC, QS8)", "act", 100.0)))
    assert (found.share, found.gain, found.unit) == (0.1, 100.0, "instructions")
    assert (found.how, found.at_most) == ("counted", True)
    assert found.of == "Sigmoid (NC, QS8) act"


def test_a_clamp_or_what_takes_little_is_no_matter(make_facts: Make) -> None:
    rows = CONV, ran("Clamp (NC, S8)", "relu", 100.0), ran("Tanh (NC, QS8)", "act", 10.0)
    assert not given(operators, counted(make_facts, *rows))


COPIED = CONV, ran("STRIDED_SLICE", "skip", 60.0), ran("PAD", "more", 40.0)


def test_values_that_are_copied(make_facts: Make) -> None:
    student = {"family": "resnet_cifar", "depth": 8, "shortcut": "conv"}
    found = only(operators, counted(make_facts, *COPIED, student=student))
    assert (found.share, found.at_most, found.set) == (0.1, True, ())
    assert found.of == "STRIDED_SLICE skip, PAD more"


def test_convolutions_that_are_cheaper_than_padding(make_facts: Make) -> None:
    found = only(operators, counted(make_facts, *COPIED, what_if=reckoned(shortcuts=30.0)))
    assert found.set == ("student.shortcut=conv",)
    assert (found.gain, found.share, found.at_most) == (70.0, pytest.approx(0.07), False)
    assert not given(operators, counted(make_facts, *COPIED, what_if=reckoned(shortcuts=60.0)))
    unknown = only(operators, counted(make_facts, *COPIED))
    assert (unknown.gain, unknown.at_most) == (100.0, True)


def test_layers_that_the_recipe_leaves_in_float(make_facts: Make) -> None:
    rows = CONV, ran("Convolution (NHWC, F32)", "stem.conv", 50.0), ran("Sqrt (NC)", "norm", 50.0)
    left = [LeftOver("in float", ("Convolution (NHWC, F32) stem.conv",), 0.05, "instructions")]
    kept = {"teacher": {"train": {}}, "quantize": {"keep_float": ["stem"]}}
    found = only(operators, counted(make_facts, *rows, left=left, stages=kept))
    assert (found.kind, found.set) == ("float", ("stages.quantize.keep_float=[]",))
    other = only(operators, counted(make_facts, *rows, left=left))
    assert (other.kind, other.set) == ("float", ())


def test_operators_that_no_delegate_takes(make_facts: Make) -> None:
    rows = CONV, ran("CUMSUM", "sum", 100.0)
    left = [LeftOver("undelegated", ("CUMSUM sum",), 0.1, "instructions")]
    assert only(operators, counted(make_facts, *rows, left=left)).of == "CUMSUM sum"


def test_an_activation_that_no_delegate_takes_is_told_of_once(make_facts: Make) -> None:
    rows = CONV, ran("HARD_SWISH", "act", 100.0)
    left = [LeftOver("undelegated", ("HARD_SWISH act",), 0.1, "instructions")]
    assert "ReLU" in only(operators, counted(make_facts, *rows, left=left)).change


def test_operators_of_another_machine_say_nothing(make_facts: Make) -> None:
    assert not given(operators, make_facts("android-arm64"))
