"""From a recipe's words to a module with its weights, and what there is to know of these before
they are read."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from edgedistill.errors import UserError
from edgedistill.recipe import Model

if TYPE_CHECKING:
    from torch import nn

    from edgedistill.models.weights import Shapes

T = TypeVar("T")


@dataclass(frozen=True)
class Origin:
    """Where a model's weights come from, as far as a user has to know."""

    new_head: bool = False
    """Whether what gives the answer is random, and the rest is not."""
    notes: tuple[str, ...] = ()


def build(model: Model, classes: int, channels: int, image_size: int) -> nn.Module:
    """A module of float32 pixels (batch, channels, height, width) in 0..1 to logits
    (batch, classes). Weights are loaded where given; else they are pretrained or random. Where
    they answer with another number of classes, their output layer is left out and is random; where
    they are of three channels and the images grey, all three see the same image (`origin` tells).

    Raises UserError: unknown model, weights that do not fit, a size the model cannot take, a
    result that is not (batch, classes).
    """
    from edgedistill.models.weights import fit, read, shapes_of

    tensors = read(model.weights) if model.weights is not None else None
    given = None if tensors is None else shapes_of(tensors)
    inside = _inside(model, classes, channels, image_size, given)
    inner = make(model, classes, inside, image_size)
    left_out: set[str] = set()
    if tensors is not None:
        heads = _heads(inner, model, inside, image_size)
        left_out = fit(inner, tensors, str(model.weights), heads)
    module = whole(inner, model, channels, inside)
    _try(module, model, classes, channels, image_size)
    vars(module)["origin"] = _origin(model, classes, channels, inside, given, left_out)
    return module


def preview(model: Model, classes: int, channels: int, image_size: int) -> Origin:
    """What `build` would make, without its weights: nothing is downloaded, and of a file of
    weights no more is read than its tensors' names and shapes.

    Raises UserError as `build` does.
    """
    from edgedistill.models.weights import misfits, shapes, shapes_of

    given = None if model.weights is None else shapes(model.weights)
    inside = _inside(model, classes, channels, image_size, given)
    blank = without_weights(model)

    def look() -> set[str]:
        inner = make(blank, classes, inside, image_size)
        _try(whole(inner, model, channels, inside), model, classes, channels, image_size)
        if given is None:
            return set()
        heads = _heads(inner, model, inside, image_size)
        return misfits(shapes_of(inner.state_dict()), given, str(model.weights), heads)

    left_out = _weightless(look)
    return _origin(model, classes, channels, inside, given, left_out)


def origin(module: nn.Module) -> Origin:
    """Of a module that `build` made."""
    found: Origin = vars(module).get("origin", Origin())
    return found


def check_knows(model: Model, classes: int, channels: int, image_size: int) -> Origin:
    """`preview` of a teacher that is not trained here.

    Raises UserError: its weights are for another number of classes, so that its last layer would
    be new, and its answers chance; or as `preview`.
    """
    found = preview(model, classes, channels, image_size)
    if found.new_head:
        raise UserError(
            f"teacher `{label_of(model)}`: {found.notes[0]}, and would answer by chance",
            "train it on the data first (`stages.teacher.train`), or give `weights` of a teacher "
            "that was trained on these classes",
        )
    return found


def family_of(model: Model) -> Any:
    """The file here of the same name: `make(model, classes, channels, image_size) -> nn.Module`,
    and `normalization(model) -> (mean, std) | None`, what its own pretrained weights expect."""
    return importlib.import_module(f"edgedistill.models.{model.family}")


def make(model: Model, classes: int, inside: int, image_size: int) -> nn.Module:
    # `weights` replace those of the library, which are not fetched then.
    wanted = without_weights(model) if model.weights is not None else model
    module: nn.Module = family_of(model).make(wanted, classes, inside, image_size)
    return module


def without_weights(model: Model) -> Model:
    return model.model_copy(update={"pretrained": False} if hasattr(model, "pretrained") else {})


def _is_pretrained(model: Model) -> bool:
    return model.weights is None and bool(getattr(model, "pretrained", False))


def _weightless(make: Callable[[], T]) -> T:
    """`make()` with tensors that have shapes and no values, which takes no time; with values
    where a model computes with them while it is built."""
    import torch

    try:
        with torch.device("meta"):
            return make()
    except Exception:  # a mistake of the user's is made, and told, again
        return make()


def _inside(
    model: Model, classes: int, channels: int, image_size: int, given: Shapes | None
) -> int:
    """How many channels the model itself takes: those of its weights. Raises UserError: they are
    neither the images' nor, of grey ones, three."""
    if _is_pretrained(model):
        own = int(family_of(model).pretrained_channels(model))
        if own not in (channels, 3) or channels not in (own, 1):
            raise UserError(
                f"model `{label_of(model)}`: its pretrained weights take {own} channel(s), the "
                f"images have {channels}",
                f"set `data.channels` to {own}, or `pretrained` to false",
            )
        return own
    if given is None or channels != 1:
        return channels
    shapes: Shapes = given
    blank = without_weights(model)
    fits = (
        each
        for each in (channels, 3)
        if _weightless(partial(_reads, blank, classes, each, image_size, shapes))
    )
    return next(fits, channels)


def _reads(model: Model, classes: int, inside: int, image_size: int, given: Shapes) -> bool:
    """Whether the layers that read the pixels, of a model of so many channels, are as `given`."""
    import torch

    from edgedistill.models.outer import input_layers
    from edgedistill.models.weights import shapes_of

    try:
        inner = family_of(model).make(model, classes, inside, image_size)
        first = input_layers(inner, torch.zeros(1, inside, image_size, image_size))
    except Exception:  # a function's model, of other channels, raises whatever it does
        return False
    return all(
        given.get(f"{name}.{tensor}") == shape
        for name in first
        for tensor, shape in shapes_of(inner.get_submodule(name).state_dict()).items()
    )


def _heads(inner: nn.Module, model: Model, inside: int, image_size: int) -> list[str]:
    import torch

    from edgedistill.models.outer import output_layers, taking

    with taking(label_of(model), inside, image_size):
        return output_layers(inner, torch.zeros(1, inside, image_size, image_size))


def _origin(
    model: Model,
    classes: int,
    channels: int,
    inside: int,
    given: Shapes | None,
    left_out: set[str],
) -> Origin:
    notes = []
    if left_out and model.weights is not None:
        head = " and ".join(sorted({name.rpartition(".")[0] for name in left_out}))
        known = next((given[n][0] for n in sorted(left_out) if given and given.get(n)), 0)
        told = f"answers with {known} values" if known else "has no output layer"
        notes.append(
            f"{model.weights.name} {told}, {classes} are wanted: the body is kept, `{head}` is new"
        )
    elif _is_pretrained(model) and (own := family_of(model).pretrained_classes(model)) != classes:
        notes.append(
            f"its pretrained weights tell {own} classes apart, {classes} are wanted: the body is "
            "kept, the output layer is new"
        )
    new_head = bool(notes)
    if inside != channels:
        notes.append(
            f"its weights take {inside} channels and the images are grey: all {inside} see the "
            "same image, each in its own normalization"
        )
    return Origin(new_head, tuple(notes))


def label_of(model: Model) -> str:
    return str(getattr(model, "name", None) or getattr(model, "function", model.family))


def whole(inner: nn.Module, model: Model, channels: int, inside: int) -> nn.Module:
    """The model of `inside` channels as one of plain pixels."""
    from edgedistill.models.normalized import Normalized, Spread

    values: Any = (model.mean, model.std) if model.mean else family_of(model).normalization(model)
    if values is None and inside == channels:
        return inner
    mean, std = (tuple(each) for each in values or ((0.0,) * inside, (1.0,) * inside))
    if inside != channels and len(mean) == len(std) == channels:
        mean, std = mean * inside, std * inside
    if not len(mean) == len(std) == inside:
        raise UserError(
            f"`mean` has {len(mean)} and `std` {len(std)} values, the images {channels} channel(s)",
            "give one value for each channel",
        )
    return Spread(inner, mean, std) if inside != channels else Normalized(inner, mean, std)


def _try(module: nn.Module, model: Model, classes: int, channels: int, image_size: int) -> None:
    """One blank image through the model, so that a misfit shows here and not hours later."""
    import torch

    from edgedistill.models.outer import taking

    label, size = label_of(model), f"{channels}x{image_size}x{image_size}"
    training = module.training
    try:
        with torch.no_grad(), taking(label, channels, image_size):
            logits = module.eval()(torch.zeros(1, channels, image_size, image_size))
    finally:
        module.train(training)
    got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if got != (1, classes):
        raise UserError(
            f"model `{label}` gives {got} for one {size} image, expected logits (1, {classes})",
            f"the data has {classes} classes: let the model's last layer give as many",
        )
