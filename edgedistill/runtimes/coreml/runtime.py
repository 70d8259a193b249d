"""Core ML packages (.mlpackage) as files of a compile: NCHW, batch 1, floats at their ends.

Core ML runs on Apple's systems alone; here a package is read back and computed operator by operator
in torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.errors import UserError
from edgedistill.program import MAIN
from edgedistill.records import Look, OperatorRow
from edgedistill.runtimes import Spec
from edgedistill.runtimes.coreml.archive import pack, unpack
from edgedistill.runtimes.coreml.convert import converted, coremltools, save
from edgedistill.runtimes.coreml.evaluate import Evaluated
from edgedistill.runtimes.native import METADATA, Running, describe, look, read_description
from edgedistill.scratch import scratch_folder
from edgedistill.signature import Signature, TensorSpec

if TYPE_CHECKING:
    from edgedistill.program import Program
    from edgedistill.runtimes import Array


def write(program: Program, path: Path, spec: Spec) -> Signature:
    """Weights are int8 in an int8 file, float16 in an fp16 one, where all is computed so. What the
    file says of itself is in its model's own metadata.

    Raises UserError: weights alone are int8, or it has an operator that cannot be checked here.
    """
    import numpy as np

    from edgedistill.program import graph_of
    from edgedistill.runtimes.program import fold_weights, made_once, rounds_weights_alone

    if spec.precision == "int8" and rounds_weights_alone(program):
        raise UserError(
            "coreml: layers whose weights alone are int8 are not written",
            "leave `coreml` out of the target's runtimes, or export fp16",
        )
    ct = coremltools()
    folded = made_once(program, "folded", lambda: fold_weights(program))
    inputs, outputs = (
        tuple(dataclasses.replace(each, shape=each.of_batch(1)) for each in ends)
        for ends in (program.signature.inputs, program.signature.outputs)
    )
    signature = dataclasses.replace(program.signature, inputs=inputs, outputs=outputs)

    def tensor(each: TensorSpec) -> Any:
        return ct.TensorType(each.name, shape=each.shape, dtype=np.dtype(each.dtype).type)

    model = converted(
        graph_of(folded),
        inputs,
        half=spec.precision == "fp16",
        inputs=list(map(tensor, inputs)),
        outputs=[ct.TensorType(each.name, dtype=np.dtype(each.dtype).type) for each in outputs],
    )
    model.user_defined_metadata[METADATA] = describe(spec, signature)
    with scratch_folder() as folder:
        package = folder / path.name.removesuffix(".zip")
        save(model, package)
        Evaluated(package).check()
        pack(package, path)
    return signature


@contextmanager
def _opened(path: Path) -> Iterator[Evaluated]:
    with scratch_folder() as folder:
        yield Evaluated(unpack(path, folder))


def load(path: Path, threads: int = 1, optimize: bool = True, program: str = MAIN) -> _Loaded:
    """A file holds one program; torch computes it, whatever `optimize` says."""
    return _Loaded(path)


class _Loaded(Running):
    def __init__(self, path: Path) -> None:
        with _opened(path) as opened:
            self._model = opened
        words = opened.metadata.get(METADATA)
        self.signature = _plain(opened) if words is None else read_description(words)

    def run(self, native: dict[str, Array]) -> dict[str, Array]:
        found = self._model.all(native)
        return {each.name: found[each.name] for each in self.signature.outputs}

    def operators(self) -> list[OperatorRow]:
        """Without times, as nothing here is what will run them."""
        return [
            OperatorRow(name, kind, "float32" if is_float else "int8", None, "torch, for Core ML")
            for kind, name, is_float in self._model.rows()
        ]


def _plain(model: Evaluated) -> Signature:
    """For a package that says nothing of itself."""
    return Signature(
        tuple(TensorSpec(name, shape, "NCHW" if len(shape) == 4 else "")
              for name, shape in model.shapes("input").items()),
        tuple(TensorSpec(name, shape) for name, shape in model.shapes("output").items()),
    )  # fmt: skip


def inspect(path: Path) -> Look:
    """See `Runtime.inspect`. What is in float is so between the integers' own pairs: Core ML's
    compiler joins them with the operators around them, or does not."""
    with _opened(path) as opened:
        rows, kinds = opened.rows(), opened.operators
    return look(kinds, opened.inner_pairs, kinds.get("transpose", 0), rows)
