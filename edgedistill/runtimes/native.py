"""Between an app's floats and what a file takes: layout, integers, and the file's own words."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedistill.errors import printable
from edgedistill.runtimes import INPUT, OUTPUT, Spec, Tensor

if TYPE_CHECKING:
    from edgedistill.runtimes import Array, Floats

METADATA = "edgedistill"
"""Under this name each file carries `describe`'s text."""


def to_native(values: Floats, tensor: Tensor) -> Array:
    """Real values (NCHW where 4-D) as `tensor` wants them."""
    if tensor.layout == "NHWC":
        values = np.ascontiguousarray(values.transpose(0, 2, 3, 1))
    if tensor.scale is None:
        return values.astype(tensor.dtype, copy=False)
    limits = np.iinfo(tensor.dtype)
    # The reciprocal, as torch's quantize_per_tensor has it.
    steps = np.rint(values * np.float32(1 / tensor.scale)) + (tensor.zero_point or 0)
    stored: Array = np.clip(steps, limits.min, limits.max).astype(tensor.dtype)
    return stored


def to_real(values: Array, tensor: Tensor) -> Floats:
    if tensor.scale is not None:
        steps = values.astype(np.float32) - np.float32(tensor.zero_point or 0)
        return steps * np.float32(tensor.scale)
    return values.astype(np.float32, copy=False)


def describe(spec: Spec, pixels: Tensor, logits: Tensor) -> str:
    """JSON that goes into a file's own metadata; `read_description` reads it."""
    return json.dumps(
        {
            "name": spec.name,
            "precision": spec.precision,
            INPUT: dataclasses.asdict(pixels),
            OUTPUT: dataclasses.asdict(logits),
            "labels": spec.labels,
        }
    )


def read_description(text: str) -> tuple[Tensor, Tensor]:
    document: dict[str, Any] = json.loads(text)
    pixels, logits = (_tensor(document[name]) for name in (INPUT, OUTPUT))
    return pixels, logits


def _tensor(fields: dict[str, Any]) -> Tensor:
    limits = fields["range"]
    return Tensor(
        **{
            **fields,
            "shape": tuple(fields["shape"]),
            "range": None if limits is None else (float(limits[0]), float(limits[1])),
        }
    )


_BETWEEN = {
    "QUANTIZE", "DEQUANTIZE", "QuantizeLinear", "DequantizeLinear", "FakeQuantize",
}  # fmt: skip


def in_float(rows: list[tuple[str, str, bool]]) -> dict[str, Any]:
    """{"executed": operators that run, "float_operators": ["TYPE NAME", ...] of those that run in
    float, "float_counts": {type: count} of these}, without what only goes between floats and
    integers. Rows: (type, name, whether it runs in float)."""
    run = [(kind, name, is_float) for kind, name, is_float in rows if kind not in _BETWEEN]
    floats = [(kind, name) for kind, name, is_float in run if is_float]
    return {
        "executed": len(run),
        "float_operators": [f"{kind} {name}" for kind, name in floats],
        "float_counts": dict(Counter(kind for kind, _ in floats).most_common()),
    }


@contextmanager
def hushed() -> Iterator[None]:
    """Hold back what native libraries log to stderr as they convert and load; it is let out where
    they fail."""
    sys.stderr.flush()
    kept_stderr = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            log.seek(0)
            os.write(kept_stderr, printable(log.read().decode(errors="replace")).encode())
            raise
        finally:
            os.dup2(kept_stderr, 2)
            os.close(kept_stderr)
