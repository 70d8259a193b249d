"""Which of a file's operators each is that XNNPACK ran: it knows no tensor's name, and joins some
of them or leaves them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from edgedistill.records import OperatorRow

_CALLED = {
    "CONV_2D": ("Convolution", "Fully Connected"),
    "DEPTHWISE_CONV_2D": ("Convolution",),
    "FULLY_CONNECTED": ("Fully Connected",),
    "TRANSPOSE_CONV": ("Deconvolution",),
    "BATCH_MATMUL": ("Batch Matrix Multiply",),
    "MUL": ("Multiply",),
    "SUB": ("Subtract",),
    "DIV": ("Divide",),
    "PAD": ("Constant Pad",),
    "QUANTIZE": ("Convert",),
    "DEQUANTIZE": ("Convert",),
    "RSQRT": ("Reciprocal Square Root",),
    "LOGISTIC": ("Sigmoid",),
    "SQRT": ("Square Root",),
    "RESHAPE": ("Static Reshape", "Copy"),
    "CONCATENATION": ("Copy", "Concatenate"),
    "AVERAGE_POOL_2D": ("Average Pooling",),
    "MAX_POOL_2D": ("Max Pooling",),
    "RELU": ("Clamp",),
    "RELU6": ("Clamp",),
}
"""By type in a file: what XNNPACK calls it, where that is not the same word."""


def named(ran: Sequence[OperatorRow], written: Sequence[OperatorRow]) -> list[OperatorRow]:
    """What ran, with the types, names and kinds of numbers that the file has for it, where one of
    its operators can be meant: as many as can be in the order of both lists, and then those that
    XNNPACK took out of turn. The rest stays as it is."""
    pairs = _pairs(ran, written)
    taken = {id(row) for row in pairs.values()}
    for place, row in enumerate(ran):
        if place not in pairs:
            free = (each for each in written if id(each) not in taken and _is_same(row, each))
            found = next(free, None)
            if found is not None:
                pairs[place] = found
                taken.add(id(found))
    return [
        replace(row, name=pairs[place].name, type=pairs[place].type, dtype=pairs[place].dtype)
        if place in pairs
        else row
        for place, row in enumerate(ran)
    ]


def _pairs(ran: Sequence[OperatorRow], written: Sequence[OperatorRow]) -> dict[int, OperatorRow]:
    """The longest common subsequence, by places in `ran`."""
    longest = [[0] * (len(written) + 1) for _ in range(len(ran) + 1)]
    for i in reversed(range(len(ran))):
        for j in reversed(range(len(written))):
            both = longest[i + 1][j + 1] + 1 if _is_same(ran[i], written[j]) else 0
            longest[i][j] = max(both, longest[i + 1][j], longest[i][j + 1])
    found: dict[int, OperatorRow] = {}
    i = j = 0
    while i < len(ran) and j < len(written):
        if _is_same(ran[i], written[j]) and longest[i][j] == longest[i + 1][j + 1] + 1:
            found[i] = written[j]
            i, j = i + 1, j + 1
        elif longest[i + 1][j] >= longest[i][j + 1]:
            i += 1
        else:
            j += 1
    return found


def _is_same(ran: OperatorRow, written: OperatorRow) -> bool:
    if (ran.where == "XNNPACK") != (written.where == "XNNPACK"):
        return False
    called = _CALLED.get(written.type, (written.type,))
    return _word(ran.type) in map(_word, called)


def _word(name: str) -> str:
    return name.replace("_", "").replace(" ", "").upper()
