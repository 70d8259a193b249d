"""A model's programs: graphs by name that share one set of weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from edgedistill.errors import UserError, nearest
from edgedistill.models.normalized import Normalized
from edgedistill.program import MAIN
from edgedistill.signature import Inputs, Signature

Programs = dict[str, tuple[nn.Module, Signature | Inputs]]

_Own = dict[str, tuple[Callable[..., Any], Signature]]


def programs(module: nn.Module, inputs: Inputs) -> Programs:
    """What a model is exported as, `main` first: a module and its signature for each name.

    A model has one program, called with its inputs, unless it has a method `programs()` that gives
    {name: (a method of its own or a module, Signature)}: `main` with the outputs' names where it
    has several, and others that share its weights, as a step of a stream that keeps a state.

    Raises UserError: a signature's state names no output or input, or `main` takes other inputs
    than the data has.
    """
    found: Programs = {MAIN: (module, inputs)}
    own = _own(module)
    if isinstance(module, Normalized) and own.keys() - {MAIN}:
        raise UserError(
            f"the model has the programs {', '.join(own)}, and the recipe normalizes what `main` "
            "is called with",
            "normalize in the model itself, and leave `mean` and `std` out",
        )
    for name, (call, signature) in own.items():
        _check(name, signature)
        if name == MAIN and _shapes(signature.inputs) != _shapes(inputs):
            raise UserError(
                f"the model's program `main` takes {_shapes(signature.inputs)}, the data have "
                f"{_shapes(inputs)}",
                "give `main` the data's inputs, in their order and of their shapes",
            )
        called = call if isinstance(call, nn.Module) else Method(module, call)
        found[name] = (module if name == MAIN else called, signature)
    return found


def float_parts(module: nn.Module) -> tuple[str, ...]:
    """The parts of a model that stay in float where the rest becomes integers: what its attribute
    `float_parts` names, by their paths; none without it.

    Raises UserError: it names what is no part.
    """
    inner = module.model if isinstance(module, Normalized) else module
    names = tuple(getattr(inner, "float_parts", ()))
    parts = dict(inner.named_modules())
    for name in names:
        if name not in parts:
            raise UserError(
                f"the model's `float_parts` names `{name}`, which is no part of it",
                nearest(str(name), [each for each in parts if each]),
            )
    return names


def _shapes(inputs: Inputs) -> list[tuple[int | None, ...]]:
    return [each.shape for each in inputs]


def _check(name: str, signature: Signature) -> None:
    outputs = {each.name: each for each in signature.outputs}
    inputs = {each.name: each for each in signature.inputs}
    for given, taken in signature.state.items():
        if given not in outputs or taken not in inputs:
            raise UserError(
                f"the model's program `{name}`: its state leads from `{given}` to `{taken}`, which "
                "are no output and input of it",
                f"its outputs are {', '.join(outputs)}; its inputs {', '.join(inputs)}",
            )
        if outputs[given].shape != inputs[taken].shape:
            raise UserError(
                f"the model's program `{name}`: the state `{given}` has shape "
                f"{outputs[given].shape}, `{taken}` {inputs[taken].shape}",
                "give both ends of a state the same shape",
            )


class Method(nn.Module):
    """A method of a model as a module, its weights under their own names."""

    def __init__(self, model: nn.Module, call: Callable[..., Any]) -> None:
        super().__init__()
        self.model = model
        self.call = call

    def forward(self, *inputs: Tensor) -> Any:
        """What the method gives, for its inputs in order."""
        return self.call(*inputs)


def _own(module: nn.Module) -> _Own:
    inner: Any = module.model if isinstance(module, Normalized) else module
    return inner.programs() if hasattr(inner, "programs") else {}


def judged(module: Callable[..., Any], outputs: Any) -> Tensor:
    """Of what a model's `main` gave, the output (batch, values) that a task judges: what its
    signature names so, of several; see `programs` and `program.graph_of`."""
    if isinstance(outputs, Tensor):
        return outputs
    signature = getattr(module, "signature", None)
    if signature is None and isinstance(module, nn.Module):
        signature = _own(module).get(MAIN, (None, None))[1]
    if signature is None:
        raise UserError(
            f"the model gives {len(outputs)} outputs, and nothing says which one is judged",
            "give it a method `programs()` that names them: {'main': (self.forward, Signature)}",
        )
    chosen: Tensor = outputs[signature.answer]
    return chosen
