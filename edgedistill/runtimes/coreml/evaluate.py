"""What a saved Core ML program computes, operator by operator in torch.

Core ML itself runs on Apple's systems alone. This reads the graph, its constants and its weights
back from the package, so that a conversion which lost or changed something is found anywhere; what
it cannot say is how Apple's own kernels round. What a program keeps in float16 is rounded to it
after each operator, which sums in float32.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.errors import UserError
from edgedistill.runtimes.coreml.convert import coremltools
from edgedistill.runtimes.coreml.operators import OPERATORS
from edgedistill.runtimes.native import hushed

if TYPE_CHECKING:
    from torch import Tensor

    from edgedistill.runtimes import Array

    Values = dict[str, Any]

_CLASSIFY = "classify"
_AROUND = ("quantize", "dequantize")
_STORED = ("constexpr_affine_dequantize",)
"""What makes floats of stored integers, once."""
_CLAMPS = ("relu", "clip")


class Evaluated:
    """A package, read back."""

    def __init__(self, path: Path) -> None:
        ct = coremltools()
        from coremltools.converters.mil.frontend.milproto.load import load

        with hushed():
            self._spec = ct.utils.load_spec(str(path))
            weights = path / "Data" / "com.apple.CoreML" / "weights"
            self._program: Any = load(
                self._spec, self._spec.specificationVersion, file_weights_dir=str(weights)
            ).functions["main"]

    @property
    def metadata(self) -> dict[str, str]:
        """What its maker wrote into it."""
        return dict(self._spec.description.metadata.userDefined)

    @property
    def inputs(self) -> dict[str, str]:
        """The kind of each: `imageType`, `multiArrayType`."""
        return {each.name: each.type.WhichOneof("Type") for each in self._spec.description.input}

    @property
    def outputs(self) -> dict[str, str]:
        """The kind of each: `stringType`, `dictionaryType`, `multiArrayType`."""
        return {each.name: each.type.WhichOneof("Type") for each in self._spec.description.output}

    def shapes(self, end: str) -> dict[str, tuple[int, ...]]:
        """Of the arrays at an end, `input` or `output`, by name."""
        return {
            each.name: tuple(each.type.multiArrayType.shape)
            for each in getattr(self._spec.description, end)
        }

    @property
    def _steps(self) -> list[Any]:
        return [op for op in self._program.operations if op.op_type != "const"]

    @property
    def operators(self) -> dict[str, int]:
        """How many of each type, without constants."""
        return dict(Counter(str(op.op_type) for op in self._steps))

    def check(self) -> None:
        """Raises UserError: an operator is not known here, so that nothing could be told of it."""
        strange = self.operators.keys() - OPERATORS.keys() - {_CLASSIFY}
        if strange:
            raise UserError(
                f"the Core ML operator `{min(strange)}` is not known here, so that the package "
                "cannot be checked",
                "leave `coreml` out of the target's runtimes, or replace that operator in the "
                "student",
            )

    def rows(self) -> list[tuple[str, str, bool]]:
        """(type, name, whether it lies between floats) of each operator, without those that go
        between floats and integers, or to another type."""
        made = {out.name: op for op in self._steps for out in op.outputs}
        read: dict[str, list[Any]] = {}
        for op in self._steps:
            for each in _sources(op):
                read.setdefault(each.name, []).append(op)
        skipped = (*_AROUND, *_STORED, "cast")

        def takes(op: Any) -> bool:
            sources = [made[each.name] for each in _sources(op) if each.name in made]
            return bool(sources) and all(
                source.op_type in ("dequantize", *_STORED)
                or (op.op_type in _CLAMPS and takes(source))
                for source in sources
            )

        def gives(op: Any) -> bool:
            readers = [each for out in op.outputs for each in read.get(out.name, [])]
            return bool(readers) and all(
                reader.op_type == "quantize" or (reader.op_type in _CLAMPS and gives(reader))
                for reader in readers
            )

        return [
            (str(op.op_type), str(op.name), not (takes(op) and gives(op)))
            for op in self._steps
            if op.op_type not in skipped
        ]

    @property
    def inner_pairs(self) -> int:
        """Operators between floats and integers that are not at the program's ends."""
        ends = {*self._program.inputs, *(each.name for each in self._program.outputs)}
        return sum(
            op.op_type in _AROUND
            and not ends & {*(each.name for each in (*_sources(op), *op.outputs))}
            for op in self._steps
        )

    def all(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs for inputs (1, ...) by name, of pictures their bytes as float32; of a
        classifier the `probabilities` (1, labels) in the labels' order."""
        import torch

        self.check()
        known: Values = {name: torch.from_numpy(values) for name, values in inputs.items()}
        with torch.no_grad():
            for op in self._steps:
                given = {name: _value(each, known) for name, each in op.inputs.items()}
                if op.op_type == _CLASSIFY:
                    return {"probabilities": given["probabilities"].numpy()}
                found = OPERATORS[str(op.op_type)](given)
                many = found if isinstance(found, list) else [found]
                for out, value in zip(op.outputs, many, strict=True):
                    known[out.name] = _stored(value, out)
        return {each.name: known[each.name].numpy() for each in self._program.outputs}

    def __call__(self, inputs: Mapping[str, Array]) -> Array:
        """What a model of one output answers, as `all` does. Raises UserError: as `check` does."""
        (found,) = self.all(inputs).values()
        return found


def _sources(op: Any) -> list[Any]:
    """What an operator reads that is no constant."""
    given = [
        part
        for each in op.inputs.values()
        for part in (each if isinstance(each, tuple | list) else [each])
    ]
    return [each for each in given if getattr(each, "val", None) is None]


def _stored(value: Tensor, out: Any) -> Tensor:
    """As the program keeps it."""
    from coremltools.converters.mil.mil import types

    if out.dtype == types.fp16:
        return value.half().float()
    return value


def _value(given: Any, known: Values) -> Any:
    if isinstance(given, tuple | list):
        return [_value(each, known) for each in given]
    return known.get(given.name, given.val)
