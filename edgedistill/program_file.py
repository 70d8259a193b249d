"""An exported program as one safetensors file: its tensors, and its graph as JSON in the header.

torch's own `.pt2` falls back to a pickle where a file asks for it, and calls whatever function the
file names. A graph read here names tensor operators alone, and is checked before it becomes code.
"""

from __future__ import annotations

import json
import keyword
import operator
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from edgedistill.artifact import BrokenSeal, JsonValue
from edgedistill.errors import UserError, in_short, out_of_resources
from edgedistill.program import MAIN, Program, export, graph_of, note_origin, origin
from edgedistill.signature import Signature

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.fx import Graph, Node
    from torch.fx.node import Argument

_GRAPH = "graph"
_PROGRAMS = "programs"
"""Folder, in an artifact, of a student's programs."""
_NAMESPACES = ("aten", "quantized_decomposed")
_SCALARS = {
    f"_operator.{name}": getattr(operator, name)
    for name in ("add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "pow", "getitem",
                 "eq", "ne", "lt", "le", "gt", "ge")
}  # fmt: skip
"""What a graph computes sizes with."""
_TEXTS = {
    "approximate", "equation", "indexing", "interpolation_mode", "mode", "ord", "padding",
    "padding_mode", "reduce", "rounding_mode",
}  # fmt: skip
"""Text that chooses how an operator computes. No other is allowed: it may name a file."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACE = re.compile(r'[^."\\\x00-\x1f\x7f]+(\.[^."\\\x00-\x1f\x7f]+)*')
"""A module may be called anything; what has no quotes stays text in the code that is made of it."""
_TORCH = ("dtype", "layout", "memory_format")
"""torch's own constants, kept as {kind: name}."""


class BadProgram(BrokenSeal):
    """A file that holds no program, or one that names what no program may."""


class _Refused(ValueError):
    """What a graph may not hold."""


def save(program: Program, path: Path) -> None:
    """Write a program. The same program gives the same bytes."""
    from safetensors.torch import save_file

    graph = graph_of(program)
    tensors, nodes = {}, []
    for node in graph.graph.nodes:
        row = {"op": node.op, "name": node.name, "target": _named(node.target)}
        if node.op == "get_attr":
            value = _attribute(graph, node.target)
            tensors[node.target] = value.detach().contiguous().clone()
            row["parameter"] = hasattr(value, "requires_grad_") and _is_parameter(value)
        row["args"], row["kwargs"] = _plain(node.args), _plain(dict(node.kwargs))
        if (found := origin(node)) is not None:
            row["origin"] = found
        nodes.append(row)
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"signature": asdict(program.signature), "nodes": nodes}
    save_file(tensors, path, {_GRAPH: json.dumps(document)})


def _is_parameter(value: Any) -> bool:
    import torch

    return isinstance(value, torch.nn.Parameter)


def _attribute(module: Any, place: str) -> Any:
    for part in place.split("."):
        module = getattr(module, part)
    return module


def _named(target: Any) -> str:
    if isinstance(target, str):
        return target
    module = getattr(target, "__module__", "")
    return f"_operator.{target.__name__}" if module == "_operator" else str(target)


def _plain(value: Any) -> Any:
    import torch

    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, torch.fx.Node):
        return {"node": value.name}
    if isinstance(value, torch.device):
        return {"device": value.type}
    kind = type(value).__name__
    if kind not in _TORCH:
        raise _Refused(f"{value!r:.80} has no place in a stored graph")
    return {kind: str(value).removeprefix("torch.")}


def keep(program: Program, path: Path) -> Program:
    """Write a program, and give it as whoever reads it will find it.

    Raises UserError: it holds an operator that no file may name, as one of the user's own.
    """
    try:
        save(program, path)
        return load(path)
    except (BadProgram, _Refused) as error:
        raise UserError(
            f"the student's graph cannot be kept: {error}",
            "build the student of torch's own operators, which every runtime knows",
        ) from error


def load(path: Path) -> Program:
    """The program that `save` wrote, exported anew with a dynamic batch.

    Raises BadProgram: damaged, or a graph with anything but tensor operators.
    """
    import torchao.quantization.pt2e  # noqa: F401  registers the quantize/dequantize operators

    try:
        return _exported(path)
    except Exception as error:  # whatever a damaged file leads to
        if out_of_resources(error) is not None:
            raise
        told = str(error) if isinstance(error, _Refused) else in_short(error)
        folder = path.parent.parent if path.parent.name == _PROGRAMS else path.parent
        raise BadProgram(folder, f"{path.name}: {told}") from error


def place(folder: Path, name: str, kind: str) -> Path:
    """Where a student's program lies in an artifact's folder; kind: `float` or `int8`."""
    return folder / _PROGRAMS / f"{name}.{kind}.program"


def names(folder: Path, kind: str) -> list[str]:
    """A student's programs of a kind, `main` first; none where nothing was quantized."""
    found = sorted(
        path.name.split(".")[0] for path in (folder / _PROGRAMS).glob(f"*.{kind}.program")
    )
    return sorted(found, key=lambda name: name != MAIN)


def load_all(folder: Path, kind: str) -> dict[str, Program]:
    """All of a student's programs of a kind, by name, `main` first."""
    return {name: load(place(folder, name, kind)) for name in names(folder, kind)}


def _exported(path: Path) -> Program:
    import torch
    from pydantic import TypeAdapter

    with _opened(path) as file:
        document = json.loads(file.metadata()[_GRAPH])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    rows = document["nodes"]
    module = torch.fx.GraphModule(_root(tensors, rows), _graph(rows, tensors))
    return export(module, TypeAdapter(Signature).validate_python(document["signature"]))


def _opened(path: Path) -> Any:
    from safetensors import safe_open

    return safe_open(path, "pt")


class _Row(TypedDict):
    """A node, as it is stored."""

    op: str
    name: str
    target: str
    args: list[JsonValue]
    kwargs: dict[str, JsonValue]
    parameter: NotRequired[bool]
    """Whether a tensor is learned."""
    origin: NotRequired[str]
    """See `program.note_origins`."""


def _root(tensors: dict[str, Tensor], nodes: list[_Row]) -> nn.Module:
    """Modules that hold each tensor at its place."""
    import torch

    root = torch.nn.Module()
    learned = {row["target"] for row in nodes if row.get("parameter")}
    for place, value in tensors.items():
        if not _PLACE.fullmatch(place):
            raise _Refused(f"a tensor is called {place[:80]!r}")
        *parents, last = place.split(".")
        module = root
        for name in parents:
            if name not in module._modules:
                module.add_module(name, torch.nn.Module())
            module = module.get_submodule(name)
        if place in learned:
            module.register_parameter(last, torch.nn.Parameter(value, value.is_floating_point()))
        else:
            module.register_buffer(last, value)
    return root


def _graph(rows: list[_Row], tensors: dict[str, Tensor]) -> Graph:
    import torch

    graph = torch.fx.Graph()
    nodes: dict[str, Node] = {}
    for row in rows:
        op, name, target = row["op"], row["name"], row["target"]
        if not _NAME.fullmatch(name) or keyword.iskeyword(name) or name in nodes:
            raise _Refused(f"a node is called {name[:80]!r}")
        args = tuple(_read(each, nodes) for each in row["args"])
        kwargs = {key: _read(each, nodes) for key, each in row["kwargs"].items()}
        if op == "call_function":
            function = _function(target, args, kwargs)
            nodes[name] = graph.create_node(op, function, args, kwargs, name)
        elif op == "get_attr" and target in tensors:
            nodes[name] = graph.create_node(op, target, (), {}, name)
        elif op == "placeholder" and not args:
            nodes[name] = graph.placeholder(name)
        elif op == "output":
            (result,) = args
            graph.output(_given(result))
        else:
            raise _Refused(f"the node {name} is {str(op)[:80]!r} of {str(target)[:80]!r}")
        if "origin" in row:
            note_origin(nodes[name], str(row["origin"]))
    graph.lint()
    return graph


def _given(result: Any) -> Any:
    """One tensor as itself, several as a tuple."""
    if not isinstance(result, list):
        return result
    return result[0] if len(result) == 1 else tuple(result)


def _function(target: str, args: tuple[Any, ...], kwargs: dict[str, Argument]) -> Any:
    """The operator of that name. Raises _Refused: none that a graph may name."""
    import torch

    if target in _SCALARS and not kwargs:
        return _SCALARS[target]
    parts = target.split(".")
    if len(parts) != 3 or parts[0] not in _NAMESPACES or not all(map(_NAME.fullmatch, parts)):
        raise _Refused(f"{target[:80]!r} is no tensor operator")
    packet = getattr(getattr(torch.ops, parts[0]), parts[1], None)
    found = getattr(packet, parts[2], None)
    if not isinstance(found, torch._ops.OpOverload):
        raise _Refused(f"there is no operator {target[:80]!r}")
    names = [each.name for each in found._schema.arguments]
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    odd = [key for key, each in given.items() if key not in names or
           (key not in _TEXTS and _holds_text(each))]  # fmt: skip
    if odd or len(args) > len(names):
        raise _Refused(f"{target} takes no such {str(odd or args)[:80]}")
    return found


def _holds_text(value: Any) -> bool:
    return any(map(_holds_text, value)) if isinstance(value, list) else isinstance(value, str)


def _read(value: Any, nodes: dict[str, Node]) -> Any:
    import torch

    if isinstance(value, list):
        return [_read(each, nodes) for each in value]
    if not isinstance(value, dict):
        return value
    ((kind, name),) = value.items()
    if kind == "node":
        return nodes[name]
    if kind == "device":
        return torch.device("cpu")
    found = getattr(torch, name, None) if kind in _TORCH else None
    if type(found).__name__ != kind:
        raise _Refused(f"{str(value)[:80]} is nothing that a graph holds")
    return found
