"""Between an app's floats and what a file takes: layout, integers, and the file's own words."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import TypeAdapter

from edgedistill.errors import printable
from edgedistill.records import InFloat, Look
from edgedistill.runtimes import Spec
from edgedistill.signature import Signature, TensorSpec

if TYPE_CHECKING:
    from edgedistill.runtimes import Array, Floats

    Natives = dict[str, Array]
    """Arrays as a file holds them, by the names of its inputs or outputs."""

METADATA = "edgedistill"
"""Under this name each file carries `describe`'s text."""
_SIGNATURE = TypeAdapter(Signature)


def to_native(values: Any, tensor: TensorSpec) -> Array:
    """Real values (batch, ...), NCHW where 4-D, as `tensor` wants them: its layout, its type, and
    where it has a scale rounded and clipped."""
    if tensor.layout == "NHWC":
        values = np.ascontiguousarray(values.transpose(0, 2, 3, 1))
    if tensor.scale is None:
        plain: Array = values.astype(tensor.dtype, copy=False)
        return plain
    limits = np.iinfo(tensor.dtype)
    # The reciprocal, as torch's quantize_per_tensor has it.
    steps = np.rint(values * np.float32(1 / tensor.scale)) + (tensor.zero_point or 0)
    stored: Array = np.clip(steps, limits.min, limits.max).astype(tensor.dtype)
    return stored


def to_real(values: Any, tensor: TensorSpec) -> Array:
    """What integers stand for, float32 (batch, ...), NCHW where 4-D; numbers that are no steps of a
    scale stay."""
    if tensor.scale is not None:
        steps = values.astype(np.float32) - np.float32(tensor.zero_point or 0)
        values = steps * np.float32(tensor.scale)
    elif tensor.dtype.startswith("float"):
        values = values.astype(np.float32, copy=False)
    if tensor.layout == "NHWC":
        values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
    real: Array = values
    return real


class Running:
    """What every loaded program does in the same way; a runtime's own class says how one inference
    is `run`."""

    signature: Signature

    def run(self, native: Natives) -> Natives:
        """One inference: the file's own inputs to its own outputs, by name."""
        raise NotImplementedError

    def encode(self, inputs: Mapping[str, Array]) -> Natives:
        """The file's own inputs for real values (batch, ...), pictures NCHW in 0..1."""
        return {each.name: to_native(inputs[each.name], each) for each in self.signature.inputs}

    def encode_some(self, inputs: Mapping[str, Array]) -> Natives:
        """Of a part of the inputs, as those of a stream that are no state, (batch, ...) each."""
        specs = {each.name: each for each in self.signature.inputs}
        return {name: to_native(values, specs[name]) for name, values in inputs.items()}

    def decode(self, native: Natives) -> dict[str, Array]:
        """Real values (batch, ...) of the file's own outputs."""
        return {each.name: to_real(native[each.name], each) for each in self.signature.outputs}

    def answer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs (batch, ...) for a batch of any size, which a file of a fixed size takes in
        parts."""
        native = self.encode(inputs)
        (count,) = {len(values) for values in native.values()}
        size = self.signature.inputs[0].shape[0] or count
        parts = []
        for start in range(0, count, size):
            some = {name: values[start : start + size] for name, values in native.items()}
            # Outputs may be views of the runtime's own buffer.
            parts.append({name: values.copy() for name, values in self.run(some).items()})
        whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return self.decode(whole)

    def judged(self, outputs: Mapping[str, Array]) -> Floats:
        """Of a program's outputs the one that a task judges, float32 (batch, values)."""
        chosen = outputs[self.signature.outputs[self.signature.answer].name]
        return chosen.astype(np.float32, copy=False)

    def __call__(self, *inputs: Floats) -> Floats:
        """The output that a task judges, float32 (batch, values), for inputs (batch, ...) in the
        signature's order."""
        names = [each.name for each in self.signature.inputs]
        return self.judged(self.answer(dict(zip(names, inputs, strict=True))))


def describe(spec: Spec, signature: Signature) -> str:
    """JSON that goes into a file's own metadata; `read_description` reads it."""
    return json.dumps(
        {
            "name": spec.name,
            "precision": spec.precision,
            "signature": _told(dataclasses.asdict(signature)),
            "labels": spec.labels,
        },
        separators=(",", ":"),
    )


def _told(values: Any) -> Any:
    """Without what is not known: a file of a few KB carries this too."""
    if isinstance(values, dict):
        return {key: _told(each) for key, each in values.items() if each not in (None, "")}
    return list(map(_told, values)) if isinstance(values, list | tuple) else values


def read_description(text: str) -> Signature:
    """The signature of a file, by its own words; of files of format 3 too."""
    document = json.loads(text)
    if "signature" not in document:
        ends = {"inputs": [document["pixels"]], "outputs": [document["logits"]]}
        return _SIGNATURE.validate_python(ends)
    return _SIGNATURE.validate_python(document["signature"])


_BETWEEN = {
    "QUANTIZE", "DEQUANTIZE", "QuantizeLinear", "DequantizeLinear", "FakeQuantize", "XNNConvert",
}  # fmt: skip


def in_float(rows: list[tuple[str, str, bool]]) -> InFloat:
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


def look(
    operators: dict[str, int], inner_pairs: int, transposes: int, rows: list[tuple[str, str, bool]]
) -> Look:
    """What is in a file, and how it runs; rows as `in_float` takes them."""
    ran = in_float(rows)
    return {
        "operators": operators,
        "inner_pairs": inner_pairs,
        "transposes": transposes,
        "executed": ran["executed"],
        "float_operators": ran["float_operators"],
        "float_counts": ran["float_counts"],
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
