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
from edgedistill.signature import Inputs, blank, image_shape, in_words, with_channels

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


def build(model: Model, classes: int, inputs: Inputs) -> nn.Module:
    """A module of `inputs`, for pictures float32 (batch, channels, height, width) in 0..1, to
    logits (batch, classes). Weights are loaded where given; else pretrained or random. Where
    they answer with another number of classes, their output layer is left out and is random; where
    they are of three channels and the images grey, all three see the same image (`origin` tells).

    Raises UserError: unknown model, weights that do not fit, a size the model cannot take, a
    result that is not (batch, classes).
    """
    from edgedistill.models.weights import fit, read, shapes_of

    tensors = read(model.weights) if model.weights is not None else None
    given = None if tensors is None else shapes_of(tensors)
    inside = _inside(model, classes, inputs, given)
    inner = make(model, classes, inside)
    left_out: set[str] = set()
    if tensors is not None:
        heads = _heads(inner, model, inside)
        left_out = fit(inner, tensors, str(model.weights), heads)
    module = whole(inner, model, inputs, inside)
    _try(module, model, classes, inputs)
    vars(module)["origin"] = _origin(model, classes, inputs, inside, given, left_out)
    return module


def preview(model: Model, classes: int, inputs: Inputs) -> Origin:
    """What `build` would make, without its weights: nothing is downloaded, and of a file of
    weights no more is read than its tensors' names and shapes.

    Raises UserError as `build` does.
    """
    from edgedistill.models.weights import misfits, shapes, shapes_of

    given = None if model.weights is None else shapes(model.weights)
    inside = _inside(model, classes, inputs, given)
    untrained = without_weights(model)

    def look() -> set[str]:
        inner = make(untrained, classes, inside)
        _try(whole(inner, model, inputs, inside), model, classes, inputs)
        if given is None:
            return set()
        heads = _heads(inner, model, inside)
        return misfits(shapes_of(inner.state_dict()), given, str(model.weights), heads)

    left_out = _weightless(look)
    return _origin(model, classes, inputs, inside, given, left_out)


def origin(module: nn.Module) -> Origin:
    """Of a module that `build` made."""
    found: Origin = vars(module).get("origin", Origin())
    return found


def check_knows(model: Model, classes: int, inputs: Inputs) -> Origin:
    """`preview` of a teacher that is not trained here.

    Raises UserError: its weights are for another number of classes, so that its last layer would
    be new, and its answers chance; or as `preview`.
    """
    found = preview(model, classes, inputs)
    if found.new_head:
        raise UserError(
            f"teacher `{label_of(model)}`: {found.notes[0]}, and would answer by chance",
            "train it on the data first (`stages.teacher.train`), or give `weights` of a teacher "
            "that was trained on these classes",
        )
    return found


def family_of(model: Model) -> Any:
    """The file here of the same name: `make(model, classes, inputs) -> nn.Module`, and
    `normalization(model) -> (mean, std) | None`, what its own pretrained weights expect."""
    return importlib.import_module(model.made_in)


def make(model: Model, classes: int, inside: Inputs) -> nn.Module:
    """A family's own module, of the inputs that it takes itself."""
    # `weights` replace those of the library, which are not fetched then.
    wanted = without_weights(model) if model.weights is not None else model
    module: nn.Module = family_of(model).make(wanted, classes, inside)
    return module


def without_weights(model: Model) -> Model:
    """The same model, its library's weights not wanted; the recipe's own `weights` stay."""
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


def _inside(model: Model, classes: int, inputs: Inputs, given: Shapes | None) -> Inputs:
    """What the model itself takes: channels as its weights have them. Raises UserError: they are
    neither the images' nor, of grey ones, three."""
    shape = image_shape(inputs)
    if shape is None:
        return inputs
    channels = shape[0]
    if _is_pretrained(model):
        own = int(family_of(model).pretrained_channels(model))
        if own not in (channels, 3) or channels not in (own, 1):
            raise UserError(
                f"model `{label_of(model)}`: its pretrained weights take {own} channel(s), the "
                f"images have {channels}",
                f"set `data.channels` to {own}, or `pretrained` to false",
            )
        return with_channels(inputs, own)
    if given is None or channels != 1:
        return inputs
    shapes: Shapes = given
    untrained = without_weights(model)
    possible = (inputs, with_channels(inputs, 3))
    fits = (
        each for each in possible if _weightless(partial(_reads, untrained, classes, each, shapes))
    )
    return next(fits, inputs)


def _reads(model: Model, classes: int, inside: Inputs, given: Shapes) -> bool:
    """Whether the layers that read the pixels, of a model of these inputs, are as `given`."""
    from edgedistill.models.outer import input_layers
    from edgedistill.models.weights import shapes_of

    try:
        inner = family_of(model).make(model, classes, inside)
        first = input_layers(inner, *blank(inside))
    except Exception:  # a function's model, of other channels, raises whatever it does
        return False
    return all(
        given.get(f"{name}.{tensor}") == shape
        for name in first
        for tensor, shape in shapes_of(inner.get_submodule(name).state_dict()).items()
    )


def _heads(inner: nn.Module, model: Model, inside: Inputs) -> list[str]:
    from edgedistill.models.outer import output_layers, taking

    with taking(label_of(model), inside):
        return output_layers(inner, *blank(inside))


def _origin(
    model: Model,
    classes: int,
    inputs: Inputs,
    inside: Inputs,
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
    if inside != inputs:
        own = inside[0].shape[1]
        notes.append(
            f"its weights take {own} channels and the images are grey: all {own} see the same "
            "image, each in its own normalization"
        )
    return Origin(new_head, tuple(notes))


def label_of(model: Model) -> str:
    """What messages call a model: its name, its function, or its family."""
    return str(getattr(model, "name", None) or getattr(model, "function", model.family))


def whole(inner: nn.Module, model: Model, inputs: Inputs, inside: Inputs) -> nn.Module:
    """The model of what it takes `inside` as one of plain inputs."""
    from edgedistill.models.normalized import Normalized, Spread

    values: Any = (model.mean, model.std) if model.mean else family_of(model).normalization(model)
    if values is None and inside == inputs:
        return inner
    shape, own = image_shape(inputs), image_shape(inside)
    if shape is None or own is None:
        raise UserError(
            f"model `{label_of(model)}`: `mean` and `std` are of pictures, the data are "
            f"{in_words(inputs)}",
            "leave them out, and normalize within the model",
        )
    channels, count = shape[0], own[0]
    mean, std = (tuple(each) for each in values or ((0.0,) * count, (1.0,) * count))
    if count != channels and len(mean) == len(std) == channels:
        mean, std = mean * count, std * count
    if not len(mean) == len(std) == count:
        raise UserError(
            f"`mean` has {len(mean)} and `std` {len(std)} values, the images {channels} channel(s)",
            "give one value for each channel",
        )
    return Spread(inner, mean, std) if count != channels else Normalized(inner, mean, std)


def _try(module: nn.Module, model: Model, classes: int, inputs: Inputs) -> None:
    """One blank sample through the model, so that a misfit shows here and not hours later."""
    import torch

    from edgedistill.models.outer import taking
    from edgedistill.models.programs import judged

    label, training = label_of(model), module.training
    try:
        with torch.no_grad(), taking(label, inputs):
            given = module.eval()(*blank(inputs))
    finally:
        module.train(training)
    logits = judged(module, given) if isinstance(given, tuple | list) else given
    got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if got != (1, classes):
        kind = "image" if image_shape(inputs) else "sample"
        raise UserError(
            f"model `{label}` gives {got} for one {in_words(inputs)} {kind}, expected logits "
            f"(1, {classes})",
            f"the data has {classes} classes: let the model's last layer give as many",
        )
