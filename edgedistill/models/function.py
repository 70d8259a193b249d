"""A user's own `module:function` that builds a torch module."""

from __future__ import annotations

from torch import nn

from edgedistill.errors import UserError
from edgedistill.recipe import FunctionModel
from edgedistill.usercode import load_function


def make(model: FunctionModel, classes: int, channels: int, image_size: int) -> nn.Module:
    """Calls it with `classes` and the recipe's `args`."""
    function = load_function(model.function, "function")
    try:
        module = function(classes=classes, **model.args)
    except TypeError as error:
        raise UserError(
            f"function: `{model.function}` could not be called: {error}",
            "it is called with `classes=` and the recipe's `args`",
        ) from error
    if not isinstance(module, nn.Module):
        raise UserError(
            f"function: `{model.function}` gave a {type(module).__name__}, not a torch module",
            "return a torch.nn.Module",
        )
    return module


def normalization(model: FunctionModel) -> None:
    return None
