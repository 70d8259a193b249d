"""The operators of Core ML's programs in torch: what each does with its inputs, which are given by
name as tensors, arrays or numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from edgedistill.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    Values = dict[str, Any]


def _tensor(value: Any) -> Tensor:
    """float16 becomes float32, in which all is computed here."""
    import numpy as np
    import torch

    found = value if isinstance(value, torch.Tensor) else torch.from_numpy(np.array(value))
    return found.float() if found.dtype == torch.float16 else found


def _numbers(value: Any) -> list[int]:
    import numpy as np

    return [int(each) for each in np.asarray(value).reshape(-1)]


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

    values, weight, bias = _tensor(given["x"]), _tensor(given["weight"]), given.get("bias")
    convolve = functional.conv1d if values.dim() == 3 else functional.conv2d
    convolved: Tensor = convolve(
        _around(values, given),
        weight,
        None if bias is None else _tensor(bias),
        _numbers(given["strides"]),
        0,
        _numbers(given["dilations"]),
        int(given["groups"]),
    )
    return convolved


def _around(values: Tensor, given: Values) -> Tensor:
    """With its padding."""
    from torch.nn import functional

    kind = str(given["pad_type"])
    if kind == "valid":
        return values
    if kind != "custom":
        raise UserError(f"Core ML's padding `{kind}` is not known here", "run it on a Mac")
    return functional.pad(values, _last_first(_numbers(given["pad"])))


def _last_first(pairs: list[int]) -> list[int]:
    """Core ML begins with the first axis that is padded, torch with the last."""
    return [each for at in range(len(pairs) - 2, -2, -2) for each in pairs[at : at + 2]]


def _linear(given: Values) -> Tensor:
    from torch.nn import functional

    bias = given.get("bias")
    weight = _tensor(given["weight"])
    return functional.linear(_tensor(given["x"]), weight, None if bias is None else _tensor(bias))


def _pad(given: Values) -> Tensor:
    from torch.nn import functional

    if str(given.get("mode", "constant")) != "constant":
        raise UserError(f"Core ML's padding `{given['mode']}` is not known here", "run it on a Mac")
    pairs = _last_first(_numbers(given["pad"]))
    return functional.pad(_tensor(given["x"]), pairs, value=float(given["constant_val"]))


def _matmul(given: Values) -> Tensor:
    one, other = _tensor(given["x"]), _tensor(given["y"])
    one = one.transpose(-1, -2) if given.get("transpose_x") else one
    return one @ (other.transpose(-1, -2) if given.get("transpose_y") else other)


def _slice(given: Values) -> Tensor:
    """`slice_by_index`; an axis in `squeeze_mask` is taken at its beginning."""
    values = _tensor(given["x"])
    count = values.dim()
    begin, end = _numbers(given["begin"]), _numbers(given["end"])
    steps = [1] * count if given.get("stride") is None else _numbers(given["stride"])
    masks = {
        name: [False] * count if given.get(name) is None else [*map(bool, given[name])]
        for name in ("begin_mask", "end_mask", "squeeze_mask")
    }
    places: list[Any] = []
    for axis in range(count):
        if masks["squeeze_mask"][axis]:
            places.append(begin[axis])
            continue
        first = None if masks["begin_mask"][axis] else begin[axis]
        last = None if masks["end_mask"][axis] else end[axis]
        places.append(slice(first, last, steps[axis]))
    return values[tuple(places)]


def _squeeze(given: Values) -> Tensor:
    axes = given.get("axes")
    values = _tensor(given["x"])
    return values.squeeze() if axes is None else values.squeeze(tuple(_numbers(axes)))


def _expand(given: Values) -> Tensor:
    values = _tensor(given["x"])
    for axis in sorted(_numbers(given["axes"])):
        values = values.unsqueeze(axis)
    return values


def _gather(given: Values) -> Tensor:
    values, places = _tensor(given["x"]), _tensor(given["indices"]).long()
    axis = int(given.get("axis", 0))
    axis += values.dim() if axis < 0 else 0
    shape = (*values.shape[:axis], *places.shape, *values.shape[axis + 1 :])
    return values.index_select(axis, places.reshape(-1)).reshape(shape)


def _layer_norm(given: Values) -> Tensor:
    from torch.nn import functional

    values, axes = _tensor(given["x"]), sorted(_numbers(given["axes"]))
    if [axis % values.dim() for axis in axes] != [*range(values.dim())][-len(axes) :]:
        raise UserError("Core ML's layer_norm over inner axes is not known here", "run it on a Mac")
    scale, moved = (
        None if given.get(name) is None else _tensor(given[name]) for name in ("gamma", "beta")
    )
    sizes = list(values.shape[-len(axes) :])
    return functional.layer_norm(values, sizes, scale, moved, float(given["epsilon"]))


def _batch_norm(given: Values) -> Tensor:
    from torch.nn import functional

    scale, moved = (
        None if given.get(name) is None else _tensor(given[name]) for name in ("gamma", "beta")
    )
    mean, variance = _tensor(given["mean"]), _tensor(given["variance"])
    epsilon = float(given["epsilon"])
    return functional.batch_norm(_tensor(given["x"]), mean, variance, scale, moved, eps=epsilon)


def _gelu(given: Values) -> Tensor:
    from torch.nn import functional

    exact = str(given.get("mode", "EXACT")) == "EXACT"
    return functional.gelu(_tensor(given["x"]), approximate="none" if exact else "tanh")


def _pool(given: Values, largest: bool) -> Tensor:
    from torch.nn import functional

    values = _tensor(given["x"])
    if given.get("ceil_mode") or values.dim() != 4:
        raise UserError("Core ML's pooling of that kind is not known here", "run it on a Mac")
    sizes, steps = _numbers(given["kernel_sizes"]), _numbers(given["strides"])
    top, bottom, left, right = (
        _numbers(given["pad"]) if str(given["pad_type"]) == "custom" else (0, 0, 0, 0)
    )
    if str(given["pad_type"]) not in ("custom", "valid") or (top, left) != (bottom, right):
        raise UserError("Core ML's padding of that kind is not known here", "run it on a Mac")
    if largest:
        return functional.max_pool2d(values, sizes, steps, (top, left))
    counted = not given["exclude_padding_from_average"]
    return functional.avg_pool2d(values, sizes, steps, (top, left), count_include_pad=bool(counted))


def _split(given: Values) -> list[Tensor]:
    values: Any = _tensor(given["x"])
    axis = int(given["axis"])
    if given.get("split_sizes") is not None:
        return list(values.split(_numbers(given["split_sizes"]), axis))
    return list(values.chunk(int(given["num_splits"]), axis))


def _concat(given: Values) -> Tensor:
    import torch

    if given.get("interleave"):
        raise UserError("Core ML's interleaved concat is not known here", "run it on a Mac")
    return torch.cat([_tensor(each) for each in given["values"]], int(given["axis"]))


def _cast(given: Values) -> Tensor:
    import torch

    kinds = {"fp32": torch.float32, "int32": torch.int32, "bool": torch.bool}
    wanted = str(given["dtype"])
    values = _tensor(given["x"])
    return values.half().float() if wanted == "fp16" else values.to(kinds.get(wanted, torch.int32))


def _over(name: str) -> Callable[[Values], Tensor]:
    """A reduction over axes."""

    def reduced(given: Values) -> Tensor:
        values: Any = _tensor(given["x"])
        axes = given.get("axes")
        where = list(range(values.dim())) if axes is None else _numbers(axes)
        found: Tensor = getattr(values, name)(where, bool(given["keep_dims"]))
        return found

    return reduced


def _one(name: str) -> Callable[[Values], Tensor]:
    """A function of each value."""

    def found(given: Values) -> Tensor:
        value: Tensor = getattr(_tensor(given["x"]), name)()
        return value

    return found


def _two(name: str) -> Callable[[Values], Tensor]:
    """A function of pairs of values."""

    def found(given: Values) -> Tensor:
        import torch

        value: Tensor = getattr(torch, name)(_tensor(given["x"]), _tensor(given["y"]))
        return value

    return found


def _moved(name: str) -> Callable[[Values], Tensor]:
    """A function of each value and an epsilon."""

    def found(given: Values) -> Tensor:
        value: Tensor = getattr(_tensor(given["x"]) + float(given["epsilon"]), name)()
        return value

    return found


def _select(given: Values) -> Tensor:
    import torch

    return torch.where(_tensor(given["cond"]).bool(), _tensor(given["a"]), _tensor(given["b"]))


OPERATORS: dict[str, Callable[[Values], Tensor | list[Tensor]]] = {
    "quantize": _quantize,
    "dequantize": _dequantize,
    "constexpr_affine_dequantize": _dequantize,
    "conv": _conv,
    "linear": _linear,
    "matmul": _matmul,
    "pad": _pad,
    "avg_pool": lambda given: _pool(given, largest=False),
    "max_pool": lambda given: _pool(given, largest=True),
    "layer_norm": _layer_norm,
    "batch_norm": _batch_norm,
    "slice_by_index": _slice,
    "squeeze": _squeeze,
    "expand_dims": _expand,
    "gather": _gather,
    "split": _split,
    "concat": _concat,
    "cast": _cast,
    "select": _select,
    "gelu": _gelu,
    **{f"reduce_{name}": _over(name) for name in ("mean", "sum")},
    "reduce_max": _over("amax"),
    "add": _two("add"),
    "sub": _two("sub"),
    "mul": _two("mul"),
    "real_div": _two("div"),
    "maximum": _two("maximum"),
    "minimum": _two("minimum"),
    "pow": _two("pow"),
    "equal": _two("eq"),
    "less": _two("lt"),
    "greater": _two("gt"),
    "less_equal": _two("le"),
    "greater_equal": _two("ge"),
    "logical_and": _two("logical_and"),
    "logical_not": _one("logical_not"),
    **{name: _one(name) for name in ("relu", "sigmoid", "tanh", "exp", "sqrt", "square", "abs")},
    "log": _moved("log"),
    "rsqrt": _moved("rsqrt"),
    "inverse": _moved("reciprocal"),
    "silu": lambda given: _tensor(given["x"]) * _tensor(given["x"]).sigmoid(),
    "clip": lambda given: _tensor(given["x"]).clamp(float(given["alpha"]), float(given["beta"])),
    "softmax": lambda given: _tensor(given["x"]).softmax(int(given["axis"])),
    "reshape": lambda given: _tensor(given["x"]).reshape(_numbers(given["shape"])),
    "transpose": lambda given: _tensor(given["x"]).permute(_numbers(given["perm"])),
    "tile": lambda given: _tensor(given["x"]).tile(_numbers(given["reps"])),
    "identity": lambda given: _tensor(given["x"]),
}
