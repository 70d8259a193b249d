"""What of the operators that ran a better file, or a better delegate, would not have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from edgedistill.records import LeftOver, OperatorRow
from edgedistill.signature import Signature

PLAIN = ("CPU builtin", "CPU reference")
"""What LiteRT calls the kernels that run what no delegate took."""
_REFERENCE = "CPU ref"
"""How OpenVINO's plain kernels are called, for any processor and not for this one."""
_QUANTIZE = {"QUANTIZE", "QuantizeLinear"}
_DEQUANTIZE = {"DEQUANTIZE", "DequantizeLinear"}
_FLOATS = {"float", "float16", "float32", "f32", "fp32", "f16", "fp16", "bf16"}
_INTEGERS = {"int8", "uint8", "i8", "u8"}
_IN_INTEGERS = ("QLinear", "QGemm", "QAttention", "MatMulInteger", "ConvInteger")
"""How ONNX Runtime's kernels are called that multiply integers, whatever they give."""


def is_fallback(row: OperatorRow) -> bool:
    """Whether an operator was left to the runtime's plain kernels."""
    return row.where in PLAIN or row.where.startswith(_REFERENCE)


def left_over(
    operators: Sequence[OperatorRow], signature: Signature | None = None
) -> tuple[LeftOver, ...]:
    """What could be better, the dearest first.

    signature: of the file. Each of its ends in floats has a quantize or dequantize operator in a
    file of integers, which an app asks for; without it those count too.
    """
    kinds: dict[str, list[OperatorRow]] = {
        "undelegated": [row for row in operators if is_fallback(row)],
        "transpose": [row for row in operators if _is_transpose(row)],
    }
    if any(_types(row) & _INTEGERS for row in operators):
        kinds["in float"] = [row for row in operators if _is_float(row)]
        kinds["quantize"] = _inside(operators, signature)
    cost, of = _costs(operators)
    total = sum(map(cost, operators)) if of else 0.0
    found = [
        LeftOver(
            kind,  # type: ignore[arg-type]
            tuple(f"{row.type} {row.name}" for row in rows),
            round(sum(map(cost, rows)) / total, 5) if total else None,
            of if total else "",  # type: ignore[arg-type]
        )
        for kind, rows in kinds.items()
        if rows
    ]
    return tuple(sorted(found, key=lambda each: -(each.share or 0.0)))


def in_words(left: LeftOver) -> str:
    """`3 transposes: 4 % of the time`."""
    count = len(left.operators)
    s = "" if count == 1 else "s"
    words = {
        "undelegated": f"{count} operator{s} left to plain kernels ({named(left)})",
        "transpose": f"{count} transpose{s}",
        "in float": f"{count} operator{s} in float between integers ({_by_type(left)})",
        "quantize": f"{count} quantize or dequantize operator{s} inside",
    }
    return words[left.kind] + (f": {share_of(left)}" if left.of else "")


def named(left: LeftOver) -> str:
    """The operators by type and name, of many the first."""
    more = len(left.operators) - _NAMED
    return ", ".join(left.operators[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def share_of(left: LeftOver) -> str:
    """`4 % of the time`."""
    share = left.share or 0.0
    percent = f"{100 * share:.0f}" if share >= 0.0095 else f"{100 * share:.1g}"
    return f"{percent} % of the {left.of}"


_NAMED = 5


def _by_type(left: LeftOver) -> str:
    types = Counter(each.partition(" ")[0] for each in left.operators)
    return ", ".join(name if many == 1 else f"{many} {name}" for name, many in types.most_common())


def _costs(operators: Sequence[OperatorRow]) -> tuple[Callable[[OperatorRow], float], str]:
    """What tells an operator's cost, and what that is in; the last is empty where nothing does."""
    if any(row.instructions is not None for row in operators):
        return (lambda row: row.instructions or 0.0), "instructions"
    if any(row.microseconds is not None for row in operators):
        return (lambda row: row.microseconds or 0.0), "time"
    return (lambda row: 0.0), ""


def _types(row: OperatorRow) -> set[str]:
    return set(row.dtype.lower().split("/"))


def _is_transpose(row: OperatorRow) -> bool:
    return row.type.upper() == "TRANSPOSE"


def _is_float(row: OperatorRow) -> bool:
    moves = row.type in _QUANTIZE | _DEQUANTIZE or _is_transpose(row)
    return not moves and not row.type.startswith(_IN_INTEGERS) and bool(_types(row) & _FLOATS)


def _inside(operators: Sequence[OperatorRow], signature: Signature | None) -> list[OperatorRow]:
    """Operators between floats and integers, without those at the file's own ends."""
    inputs, outputs = (signature.inputs, signature.outputs) if signature else ((), ())
    given = sum(each.dtype == "float32" for each in inputs)
    wanted = sum(each.dtype == "float32" for each in outputs)
    first = [row for row in operators if row.type in _QUANTIZE][:given]
    last = [row for row in operators if row.type in _DEQUANTIZE][::-1][:wanted]
    moving = (row for row in operators if row.type in _QUANTIZE | _DEQUANTIZE)
    return [row for row in moving if not any(row is end for end in (*first, *last))]
