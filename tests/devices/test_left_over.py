"""What ran that a better file, or a better delegate, would not have."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgedistill.devices.left_over import in_words, left_over
from edgedistill.devices.native.named import named
from edgedistill.records import OperatorRow
from edgedistill.runtimes import RUNTIMES
from edgedistill.signature import Signature, TensorSpec


def row(kind: str, name: str, dtype: str, us: float | None, where: str = "XNNPACK") -> OperatorRow:
    return OperatorRow(name, kind, dtype, us, where)


INT8 = [
    row("QUANTIZE", "pixels_int8", "int8", 1),
    row("CONV_2D", "stem", "int8", 60),
    row("HARD_SWISH", "act", "int8", 20, "CPU builtin"),
    row("TRANSPOSE", "turned", "int8", 4),
    row("DEQUANTIZE", "d", "float32", 2),
    row("MEAN", "m", "float32", 5),
    row("RSQRT", "r", "float32", 4),
    row("QUANTIZE", "q", "int8", 3),
    row("DEQUANTIZE", "logits", "float32", 1),
]
FLOAT_ENDS = Signature(
    (TensorSpec("pixels", (1, 8, 8, 3), "NHWC", "float32"),),
    (TensorSpec("logits", (1, 4), "NC", "float32"),),
)


def test_each_kind_is_told_with_its_cost_the_dearest_first() -> None:
    assert [in_words(each) for each in left_over(INT8, FLOAT_ENDS)] == [
        "1 operator left to plain kernels (HARD_SWISH act): 20 % of the time",
        "2 operators in float between integers (MEAN, RSQRT): 9 % of the time",
        "2 quantize or dequantize operators inside: 5 % of the time",
        "1 transpose: 4 % of the time",
    ]


def test_what_goes_between_an_app_and_the_file_counts_where_nothing_asks_for_it() -> None:
    (inside,) = [each for each in left_over(INT8) if each.kind == "quantize"]
    assert len(inside.operators) == 4


def test_of_many_that_no_delegate_took_the_first_are_named() -> None:
    many = [row("GELU", f"g{place}", "int8", 1, "CPU builtin") for place in range(7)]
    (left,) = left_over(many)
    assert in_words(left) == (
        "7 operators left to plain kernels (GELU g0, GELU g1, GELU g2, GELU g3, GELU g4 and 2 "
        "more): 100 % of the time"
    )


def test_what_xnnpack_took_out_of_turn_is_named_too() -> None:
    written = [row("SLICE", "cut", "int8", None), row("PAD", "padded", "int8", None),
               row("CONV_2D", "down", "int8", None)]  # fmt: skip
    ran = [row("Convolution", "0", "int8", 1.0), row("Slice", "1", "", 1.0),
           row("Constant Pad", "2", "", 1.0)]  # fmt: skip
    assert [each.name for each in named(ran, written)] == ["down", "cut", "padded"]


def test_a_file_of_floats_has_no_float_islands() -> None:
    floats = [row("CONV_2D", "stem", "float32", 9), row("MEAN", "m", "float32", 1)]
    assert left_over(floats) == ()


def test_without_times_operators_are_told_alone() -> None:
    (left,) = left_over([row("Transpose", "t", "float", None, "CPUExecutionProvider")])
    assert (left.share, in_words(left)) == (None, "1 transpose")


def test_instructions_are_what_a_share_is_of_where_they_are_counted() -> None:
    rows = [OperatorRow("a", "CONV_2D", "int8", None, "XNNPACK", 996.0),
            OperatorRow("b", "TRANSPOSE", "int8", None, "XNNPACK", 4.0)]  # fmt: skip
    (left,) = left_over(rows)
    assert in_words(left) == "1 transpose: 0.4 % of the instructions"


def test_integer_kernels_that_give_floats_and_transposed_convolutions_are_neither() -> None:
    rows = [
        row("MatMulIntegerToFloat", "m", "float", 1, "CPUExecutionProvider"),
        row("QLinearConv", "c", "uint8", 1, "CPUExecutionProvider"),
        row("TRANSPOSE_CONV", "up", "int8", 1),
    ]
    assert left_over(rows) == ()


def test_what_openvino_leaves_to_its_reference_kernels_is_told(tmp_path: Path) -> None:
    import openvino
    from openvino import opset15

    values = opset15.parameter([1, 4], np.float32, name="x")
    values.output(0).set_names({"x"})
    summed = opset15.cum_sum(opset15.exp(values), np.int64(1))
    openvino.save_model(openvino.Model([summed], [values], "sums"), tmp_path / "sums.xml")
    rows = RUNTIMES["openvino"].load(tmp_path / "sums.xml").operators()
    (left,) = left_over(rows)
    assert (left.kind, len(left.operators)) == ("undelegated", 1)
    assert in_words(left).startswith("1 operator left to plain kernels (CumSum ")


def test_what_xnnpack_ran_gets_the_names_that_the_file_has_for_it() -> None:
    written = [
        row("PAD", "padded", "int8", None), row("CONV_2D", "first", "int8", None),
        row("GELU", "act", "int8", None, "CPU builtin"), row("RESHAPE", "flat", "int8", None),
        row("CONV_2D", "second", "int8", None), row("MEAN", "pooled", "float32", None),
    ]  # fmt: skip
    ran = [
        row("Convolution", "0", "int8", 1.0), row("GELU", "1", "", 2.0, "CPU builtin"),
        row("Fully Connected", "2", "int8", 3.0), row("Mean", "3", "", 4.0),
        row("Odd", "4", "", 5.0),
    ]  # fmt: skip
    found = [(row.type, row.name, row.dtype, row.microseconds) for row in named(ran, written)]
    assert found == [
        ("CONV_2D", "first", "int8", 1.0), ("GELU", "act", "int8", 2.0),
        ("CONV_2D", "second", "int8", 3.0), ("MEAN", "pooled", "float32", 4.0),
        ("Odd", "4", "", 5.0),
    ]  # fmt: skip
