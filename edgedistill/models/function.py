"""A user's own `module:function` that builds a torch module."""

from __future__ import annotations

from torch import nn

from edgedistill.errors import UserError
from edgedistill.recipe import FunctionModel
from edgedistill.signature import Inputs
from edgedistill.usercode import load_function, running

CALLED = "it is called with `classes=` and the recipe's `args`"


def make(model: FunctionModel, classes: int, inputs: Inputs) -> nn.Module:
    """Calls it with `classes` and the recipe's `args`.

    Raises UserError: it fails, or gives no torch module.
    """
    function = load_function(model.function, "function")
    with running(f"`{model.function}`", "function", CALLED):
        try:
            module = function(classes=classes, **model.args)
        except TypeError as error:
            if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                raise
            raise UserError(
                f"function: `{model.function}` could not be called: {error}", CALLED
            ) from error
    if not isinstance(module, nn.Module):
        raise UserError(
            f"function: `{model.function}` gave a {type(module).__name__}, not a torch module",
            "return a torch.nn.Module",
        )
    return module


def normalization(model: FunctionModel) -> None:
    """None: nothing is known of its weights but the recipe's `mean` and `std`."""
