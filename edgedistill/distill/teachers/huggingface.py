"""An image classifier from Hugging Face as teacher; of sound, see `huggingface_sound`."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgedistill.distill.teachers import (
    Floats,
    Ids,
    Predictions,
    Teacher,
    TeacherBatch,
    TeacherContext,
    check_answers,
)
from edgedistill.distill.teachers.model_file import cannot
from edgedistill.errors import UserError
from edgedistill.models import accelerated
from edgedistill.predict import Predict, torch_predictor
from edgedistill.recipe import HuggingFaceTeacher as Config
from edgedistill.runtimes.native import hushed


class HuggingFaceTeacher:
    """Answers with the model's logits (batch, classes), in the order of the data's classes."""

    def __init__(self, config: Config, context: TeacherContext) -> None:
        """Raises UserError: it cannot be loaded, is no whole classifier, or has other classes."""
        transformers = imported()
        self._name, self._classes = config.name, context.classes
        self._processor, model = load(transformers, config.name, "AutoModelForImageClassification")
        _check_channels(config.name, model.config, context)
        self._order = class_order(model.config.id2label, context.classes, config.name)
        self._predict = torch_predictor(accelerated(model), context.precision, _logits_of(model))
        if config.backend == "openvino":
            self._predict = _openvino(config.name, context)
        elif config.backend == "auto":
            blank = np.zeros((8, *context.image), np.float32)
            asked = TeacherBatch(np.arange(8), np.arange(8), False, {"pixels": blank})
            pixels = pixels_for(self._processor, asked)
            self._predict = _faster(self._predict, config.name, context, pixels)

    def predict(self, batch: TeacherBatch) -> Iterator[Predictions]:
        """All at once. Raises UserError: its processor makes images that the model does not take,
        or the answers are not (batch, classes)."""
        try:
            logits = self._predict(pixels_for(self._processor, batch))
        except ValueError as error:
            raise cannot_run(self._name, error) from error
        count = len(batch.ids)
        logits = logits if self._order is None else logits[:, self._order]
        yield Predictions(np.arange(count), check_answers(logits, count, self._classes, self._name))


def pixels_for(processor: Any, batch: TeacherBatch) -> Floats:
    """The images as the model's own processor makes them, resized, cropped, normalized: (batch,
    channels, height, width), float32."""
    import torch

    if hasattr(processor, "val_transforms"):
        # timm's transforms, which scale Pillow images to 0..1, but no tensors.
        images = torch.from_numpy(batch.pixels)
    else:
        images = torch.from_numpy(batch.images).permute(0, 3, 1, 2)
    pixels: Floats = processor(images, return_tensors="pt")["pixel_values"].numpy()
    return pixels


def cannot_run(name: str, error: Exception) -> UserError:
    """The error for images that the model `name` refuses."""
    hint = "check the size in its preprocessor_config.json"
    return cannot(name, "run on the data's images", error, hint)


def open_(config: Config, context: TeacherContext) -> Teacher:
    """The teacher. Raises UserError as `HuggingFaceTeacher` and `SoundTeacher` do."""
    if context.sound is None:
        return HuggingFaceTeacher(config, context)
    from edgedistill.distill.teachers.huggingface_sound import SoundTeacher

    return SoundTeacher(config, context)


def class_order(labels: dict[int, str] | None, classes: Sequence[str], name: str) -> Ids | None:
    """(classes,): the teacher's number for each of the data's classes, matched by name, whatever
    the case, and whether `unknown` is `_unknown_`, as Speech Commands has it (Warden 2018); None
    where the teacher names none and its order has to be taken as it is.

    Raises UserError: the names differ.
    """
    own = [labels[number] for number in sorted(labels)] if labels else []
    at = {_plain(label): number for number, label in enumerate(own)}
    wanted = [_plain(each) for each in classes]
    if len(own) == len(at) == len(wanted) and set(at) == set(wanted):
        return np.array([at[each] for each in wanted])
    if all(re.fullmatch(r"LABEL_\d+", label) for label in own):
        return None
    raise UserError(
        f"{name}: its {len(own)} classes ({_first(own)}) are not the data's {len(classes)} "
        f"({_first(classes)})",
        "where only the names differ, set `id2label` in the config.json of a local copy; a teacher "
        "of other classes has to be fine-tuned on the data first",
    )


def _plain(name: str) -> str:
    return name.casefold().strip("_")


def _first(names: Sequence[str], shown: int = 10) -> str:
    return ", ".join(names[:shown]) + (", ..." if len(names) > shown else "")


def imported() -> Any:
    """The package transformers, silenced. Raises UserError: it is missing."""
    # Without this, a hub model that has no safetensors is sent to a service that converts it and
    # opens a pull request at its owner's.
    os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")
    try:
        import transformers
    except ImportError as error:
        raise UserError(
            f"the `huggingface` family needs the package transformers ({error})",
            "pip install 'edgedistill[huggingface]'",
        ) from None
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    return transformers


def load(
    transformers: Any, name: str, kind: str, reader: str = "AutoImageProcessor"
) -> tuple[Any, Any]:
    """The processor of its inputs, and the model, of two of transformers' `Auto` classes, with all
    of its weights."""
    import torch

    if Path(name).is_dir() and not any(Path(name).glob("*.safetensors")):
        pickles = [path.name for path in sorted(Path(name).glob("*.bin"))]
        if pickles:
            raise _only_pickles(name, kind, reader, f"its weights ({_first(pickles)})")
    try:
        processor = getattr(transformers, reader).from_pretrained(name, trust_remote_code=False)
        model, found = getattr(transformers, kind).from_pretrained(
            name,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except Exception as error:  # transformers raises OSError, ValueError, and what the hub raised
        if "cannot be loaded with `safetensors`" in str(error):
            raise _only_pickles(name, kind, reader, "its weights") from error
        raise cannot(
            name,
            "be loaded",
            error,
            "give the hub name of a model of that kind (`owner/model`) or a folder that "
            "`save_pretrained` wrote; without a network, what is in the hub's cache already",
        ) from error
    if found["missing_keys"]:
        raise UserError(
            f"{name}: has no weights for {_first(sorted(found['missing_keys']))}",
            "it was not trained for this: fine-tune it, or take one that was",
        )
    return processor, model


def _only_pickles(name: str, kind: str, reader: str, what: str) -> UserError:
    return UserError(
        f"{name}: {what} are pickles, which can run any code when loaded; refused",
        "convert it once, from a source you trust:\n"
        f"  from transformers import {reader}, {kind} as Model\n"
        f"  Model.from_pretrained({name!r}, use_safetensors=False).save_pretrained('teacher')\n"
        f"  {reader}.from_pretrained({name!r}).save_pretrained('teacher')",
    )


def _check_channels(name: str, config: Any, context: TeacherContext) -> None:
    have, _, _ = context.image
    channels = getattr(config, "num_channels", have)
    if channels != have:
        raise UserError(
            f"{name}: takes images of {channels} channels, the data's have {have}",
            "`data.channels` says what the data's images are turned into",
        )


def _openvino(name: str, context: TeacherContext) -> Predict:
    """Raises UserError: Optimum is missing, or OpenVINO cannot express the model."""
    import torch

    try:
        from optimum.intel import OVModelForImageClassification
    except ImportError as error:
        raise UserError(
            f"`backend: openvino` needs the package optimum-intel ({error})",
            "pip install optimum-intel, or set `backend: torch`",
        ) from None
    precision = "bf16" if context.precision == "bf16" else "f32"
    try:
        with hushed():
            model = OVModelForImageClassification.from_pretrained(
                name,
                export=True,
                load_in_8bit=False,
                trust_remote_code=False,
                ov_config={"INFERENCE_PRECISION_HINT": precision},
            )
    except Exception as error:  # as many kinds as exporters
        raise cannot(name, "be exported to OpenVINO", error, "set `backend: torch`") from error
    ask = _logits_of(model)

    def predict(pixels: Floats) -> Floats:
        found: Floats = ask(torch.from_numpy(pixels)).float().numpy()
        return found

    return predict


def _faster(known: Predict, name: str, context: TeacherContext, pixels: Floats) -> Predict:
    """`known`, or OpenVINO where it is there and quicker on `pixels`."""

    def seconds(predict: Predict) -> float:
        predict(pixels)  # the first call compiles
        started = time.perf_counter()
        predict(pixels)
        return time.perf_counter() - started

    try:
        return min(known, _openvino(name, context), key=seconds)
    except (UserError, ValueError):
        return known


def _logits_of(model: Any) -> Callable[[Any], Any]:
    return lambda batch: model(pixel_values=batch).logits
