"""What a saved Core ML program computes, operator by operator in torch.

Core ML itself runs on Apple's systems alone. This reads the graph, its constants and its weights
back from the package, so that a conversion which lost or changed something is found anywhere; what
it cannot say is how Apple's own kernels round.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.errors import UserError
from edgedistill.runtimes.coreml.write import coremltools

if TYPE_CHECKING:
    from torch import Tensor

    from edgedistill.runtimes import Array

    Values = dict[str, Any]


class Evaluated:
    """A package, read back."""

    def __init__(self, path: Path) -> None:
        ct = coremltools()
        from coremltools.converters.mil.frontend.milproto.load import load

        from edgedistill.runtimes.native import hushed

        with hushed():
            self._spec = ct.utils.load_spec(str(path))
            weights = path / "Data" / "com.apple.CoreML" / "weights"
            self._program: Any = load(
                self._spec, self._spec.specificationVersion, file_weights_dir=str(weights)
            ).functions["main"]

    @property
    def inputs(self) -> dict[str, str]:
        """The kind of each: `imageType`, `multiArrayType`."""
        return {each.name: each.type.WhichOneof("Type") for each in self._spec.description.input}

    @property
    def outputs(self) -> dict[str, str]:
        """The kind of each: `stringType`, `dictionaryType`, `multiArrayType`."""
        return {each.name: each.type.WhichOneof("Type") for each in self._spec.description.output}

    @property
    def operators(self) -> dict[str, int]:
        """How many of each type, without constants."""
        kinds = Counter(str(op.op_type) for op in self._program.operations)
        return {kind: count for kind, count in kinds.items() if kind != "const"}

    def __call__(self, inputs: Mapping[str, Array]) -> Array:
        """What the model answers, (1, values): of a classifier the probabilities in the labels'
        order. inputs: float32 (1, ...), of pictures their bytes.

        Raises UserError: an operator that is not known here.
        """
        import torch

        known: Values = {name: torch.from_numpy(values) for name, values in inputs.items()}
        last = None
        with torch.no_grad():
            for op in self._program.operations:
                if op.op_type == "const":
                    continue
                given = {name: _value(each, known) for name, each in op.inputs.items()}
                if op.op_type == "classify":
                    last = given["probabilities"]
                    break
                if op.op_type not in _OPERATORS:
                    raise UserError(
                        f"the Core ML operator `{op.op_type}` is not known here",
                        "run the package on a Mac instead",
                    )
                last = _OPERATORS[op.op_type](given)
                known[op.outputs[0].name] = last
        assert last is not None, "a program that computes nothing"
        found: Array = last.numpy()
        return found


def _value(given: Any, known: Values) -> Any:
    if isinstance(given, tuple | list):
        return [_value(each, known) for each in given]
    return known.get(given.name, given.val)


def _tensor(value: Any) -> Tensor:
    import numpy as np
    import torch

    return value if isinstance(value, torch.Tensor) else torch.from_numpy(np.asarray(value).copy())


def _along(value: Any, like: Tensor, axis: Any) -> Tensor:
    """A scale or zero point, one or one for each place along an axis."""
    tensor = _tensor(value)
    if tensor.dim() == 0 or axis is None:
        return tensor
    shape = [1] * like.dim()
    shape[int(axis)] = -1
    return tensor.reshape(shape)


def _quantize(given: Values) -> Tensor:
    import torch

    values = _tensor(given["input"])
    scale, axis = _along(given["scale"], values, given.get("axis")), given.get("axis")
    zero = given.get("zero_point")
    moved = 0 if zero is None else _along(zero, values, axis).float()
    steps = torch.round(values / scale) + moved
    low, high = (-128, 127) if str(given["output_dtype"]) == "int8" else (0, 255)
    return steps.clamp(low, high)


def _dequantize(given: Values) -> Tensor:
    name = "input" if "input" in given else "quantized_data"
    values, axis = _tensor(given[name]).float(), given.get("axis")
    zero = given.get("zero_point")
    moved = 0 if zero is None else _along(zero, values, axis).float()
    return (values - moved) * _along(given["scale"], values, axis)


def _conv(given: Values) -> Tensor:
    from torch.nn import functional

    pixels, weight = _tensor(given["x"]), _tensor(given["weight"])
    top, bottom, left, right = _padding(given)
    bias = given.get("bias")
    return functional.conv2d(
        functional.pad(pixels, (left, right, top, bottom)),
        weight,
        None if bias is None else _tensor(bias),
        [int(each) for each in given["strides"]],
        0,
        [int(each) for each in given["dilations"]],
        int(given["groups"]),
    )


def _padding(given: Values) -> tuple[int, ...]:
    if given["pad_type"] == "valid":
        return 0, 0, 0, 0
    if given["pad_type"] != "custom":
        raise UserError(f"padding `{given['pad_type']}` is not known here", "run it on a Mac")
    return tuple(int(each) for each in given["pad"])


def _linear(given: Values) -> Tensor:
    from torch.nn import functional

    bias = given.get("bias")
    weight = _tensor(given["weight"])
    return functional.linear(_tensor(given["x"]), weight, None if bias is None else _tensor(bias))


def _pad(given: Values) -> Tensor:
    from torch.nn import functional

    pairs = [int(each) for each in given["pad"]]
    turned = [each for at in range(len(pairs) - 2, -2, -2) for each in pairs[at : at + 2]]
    return functional.pad(_tensor(given["x"]), turned, value=float(given["constant_val"]))


def _mean(given: Values) -> Tensor:
    axes = [int(each) for each in given["axes"]]
    return _tensor(given["x"]).mean(axes, bool(given["keep_dims"]))


def _two(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Values], Tensor]:
    return lambda given: function(_tensor(given["x"]), _tensor(given["y"]))


_OPERATORS: dict[str, Callable[[Values], Tensor]] = {
    "quantize": _quantize,
    "dequantize": _dequantize,
    "constexpr_affine_dequantize": _dequantize,
    "conv": _conv,
    "linear": _linear,
    "pad": _pad,
    "reduce_mean": _mean,
    "add": _two(lambda x, y: x + y),
    "sub": _two(lambda x, y: x - y),
    "mul": _two(lambda x, y: x * y),
    "real_div": _two(lambda x, y: x / y),
    "relu": lambda given: _tensor(given["x"]).relu(),
    "sigmoid": lambda given: _tensor(given["x"]).sigmoid(),
    "clip": lambda given: _tensor(given["x"]).clamp(float(given["alpha"]), float(given["beta"])),
    "softmax": lambda given: _tensor(given["x"]).softmax(int(given["axis"])),
    "reshape": lambda given: _tensor(given["x"]).reshape([int(n) for n in given["shape"]]),
}
