"""The oldest TensorFlow Lite that runs a file, by the versions of the operators in it.

A file says of each operator which version of it is meant, and an interpreter refuses one that it
has never heard of. What came with which release is TensorFlow's own record
(`runtime_version.cc`).
"""

from __future__ import annotations

from edgedistill.runtimes.tflite.file import File

_FIRST = 0
"""The minor number of 2.0, which stands for all releases before it too."""
_SINCE: dict[str, tuple[int, ...]] = {
    "ABS": (0, 4, 5, 6, 12),
    "ADD": (0, 0, 4, 6, 13, 23),
    "ARG_MAX": (0, 0, 9),
    "AVERAGE_POOL_2D": (0, 0, 3),
    "BATCH_MATMUL": (3, 3, 4, 5),
    "BROADCAST_TO": (5, 5, 5),
    "CAST": (0, 7, 8, 9, 12, 15, 17, 21),
    "CONCATENATION": (0, 0, 3, 14, 21),
    "CONV_2D": (0, 0, 0, 3, 4, 9, 11, 15),
    "COS": (0,),
    "CUMSUM": (4,),
    "DEPTHWISE_CONV_2D": (0, 0, 0, 2, 3, 3, 11),
    "DEPTH_TO_SPACE": (1, 5),
    "DEQUANTIZE": (0, 0, 0, 2, 7, 18, 21, 22),
    "DIV": (0, 3),
    "DYNAMIC_UPDATE_SLICE": (9, 17, 19, 20, 21, 22),
    "ELU": (0,),
    "EMBEDDING_LOOKUP": (0, 0, 0, 18, 21),
    "EQUAL": (0, 0, 3, 13, 21),
    "EXP": (0, 12),
    "EXPAND_DIMS": (0,),
    "FILL": (0, 3, 5, 12),
    "FLOOR": (0,),
    "FLOOR_DIV": (0, 0, 13),
    "FLOOR_MOD": (0, 13),
    "FULLY_CONNECTED": (0, 0, 0, 0, 0, 1, 3, 3, 3, 11, 15, 17, 18, 21),
    "GATHER": (0, 0, 0, 4, 5, 13, 15),
    "GATHER_ND": (0, 3, 5, 13, 16),
    "GELU": (9, 9),
    "GREATER": (0, 0),
    "GREATER_EQUAL": (0, 0, 13),
    "HARD_SWISH": (0,),
    "LEAKY_RELU": (0, 3),
    "LESS": (0, 0, 13),
    "LESS_EQUAL": (0, 0),
    "LOG": (0, 15),
    "LOGICAL_AND": (0,),
    "LOGICAL_NOT": (0,),
    "LOGICAL_OR": (0,),
    "LOGISTIC": (0, 0, 3),
    "LOG_SOFTMAX": (0, 0),
    "MAXIMUM": (0, 0, 3, 3),
    "MAX_POOL_2D": (0, 0, 3),
    "MEAN": (0, 0, 4),
    "MINIMUM": (0, 0, 3, 3),
    "MIRROR_PAD": (0, 3, 12),
    "MUL": (0, 0, 0, 3, 6, 11, 13, 23),
    "NEG": (0,),
    "NOT_EQUAL": (0, 0, 3, 21),
    "PACK": (0, 0, 3, 13),
    "PAD": (0, 0, 4, 6, 20),
    "PADV2": (0, 0, 4, 6, 20),
    "POW": (0,),
    "PRELU": (0,),
    "QUANTIZE": (0, 0, 7, 21, 21, 21),
    "RANGE": (0, 14),
    "REDUCE_MAX": (0, 0, 5),
    "REDUCE_MIN": (0, 0, 5),
    "RELU": (0, 1, 5),
    "RELU6": (0, 0, 5),
    "RELU_0_TO_1": (10,),
    "RELU_N1_TO_1": (0,),
    "RESHAPE": (0,),
    "RESIZE_BILINEAR": (0, 0, 2, 5),
    "RESIZE_NEAREST_NEIGHBOR": (0, 0, 3, 4),
    "RSQRT": (0, 5, 15),
    "SELECT": (0, 0, 12, 12),
    "SELECT_V2": (2, 12),
    "SHAPE": (0,),
    "SIN": (0,),
    "SLICE": (0, 0, 0, 4, 5, 14, 21),
    "SOFTMAX": (0, 0, 3),
    "SPLIT": (0, 0, 0, 3),
    "SPLIT_V": (0, 3),
    "SQRT": (0, 21),
    "SQUARE": (0,),
    "SQUARED_DIFFERENCE": (0, 5),
    "SQUEEZE": (0, 5),
    "STABLEHLO_COMPOSITE": (17,),
    "STRIDED_SLICE": (0, 0, 1, 2, 5, 6, 14, 14),
    "SUB": (0, 0, 3, 4, 4),
    "SUM": (0, 0),
    "TANH": (0, 0, 3),
    "TILE": (0, 2, 8),
    "TRANSPOSE": (0, 0, 0, 3, 4, 12, 15, 22),
    "TRANSPOSE_CONV": (0, 2, 3, 13, 15),
    "UNPACK": (0, 0, 2, 3, 22),
    "WHILE": (0,),
    "ZEROS_LIKE": (0,),
}
"""By operator, for its versions from 1 on: the minor number of the TensorFlow 2 that brought it."""


def oldest(file: File) -> tuple[str | None, tuple[str, ...]]:
    """The release, `2.3`, that runs all of a file's operators, and which of them (`ADD 3`) want no
    older one. None where it is not known of an operator, and these are told then."""
    kinds = {(file.kind(each), _version(file, each)) for part in file.parts()
             for each in part.operators}  # fmt: skip
    since = {kind: _since(*kind) for kind in sorted(kinds)}
    unknown = tuple(_words(kind) for kind, minor in since.items() if minor is None)
    if unknown:
        return None, unknown
    latest = max((minor for minor in since.values() if minor is not None), default=_FIRST)
    if latest == _FIRST:
        return f"2.{_FIRST}", ()
    return f"2.{latest}", tuple(_words(kind) for kind, minor in since.items() if minor == latest)


def is_older(one: str, other: str) -> bool:
    """Whether a release is before another: `2.9` before `2.14`."""
    return _parts(one) < _parts(other)


def _parts(release: str) -> list[int]:
    return [int(part) for part in release.split(".")]


def _version(file: File, operator: object) -> int:
    return int(file.model.operatorCodes[operator.opcodeIndex].version)  # type: ignore[attr-defined]


def _since(kind: str, version: int) -> int | None:
    known = _SINCE.get(kind, ())
    return known[version - 1] if 0 < version <= len(known) else None


def _words(kind: tuple[str, int]) -> str:
    return f"{kind[0]} {kind[1]}"
