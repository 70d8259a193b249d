"""What can be known to fail before an image is read: packages, weights that do not fit, teachers of
other classes. A few seconds, nothing downloaded."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgedistill.errors import UserError
from edgedistill.plan import Step
from edgedistill.recipe import Ensemble, ModelCommon, Recipe, Teacher
from edgedistill.signature import Inputs, TensorSpec, image_inputs
from edgedistill.tasks import TASKS

Images = tuple[Sequence[str], Inputs]
"""What the data's images are, to a model: names of its outputs, channels, image size."""

_NEEDED = {
    "timm": ("timm", "pip install 'edgedistill[timm]'"),
    "huggingface": ("transformers", "pip install 'edgedistill[huggingface]'"),
    "clip": ("transformers", "pip install 'edgedistill[huggingface]'"),
    "keras": ("tensorflow", "pip install 'edgedistill[tensorflow]'"),
}
"""What a family of models needs beside what edgedistill does."""
_IN_A_FILE = ("onnx", "tflite", "keras")
"""Teachers that can be asked about a blank image at once: they cost nothing and know no name."""


def precheck(
    recipe: Recipe, planned: Sequence[Step], done: Collection[str] = (), fetch: bool = False
) -> list[str]:
    """Look ahead of the steps that are `planned`, but for those that are `done`; returns what a
    user should know of the models' weights.

    fetch: bring pretrained weights that are not on this disk.

    Raises UserError: all that stands in the way, at once.
    """
    models = list(_models(recipe, done))
    problems = [
        *_missing_packages(recipe, models),
        *_missing_libraries([step for step in planned if step.name not in done]),
    ]
    _raise(problems)
    images = _images(recipe) if models else None
    notes: list[str] = []
    for role, model in models if images is not None else ():
        try:
            notes += [f"{role}: {note}" for note in _look(role, model, recipe, images, fetch)]
        except UserError as error:
            problems.append(error)
    _raise(problems)
    return notes


def _raise(problems: Sequence[UserError]) -> None:
    if len(problems) == 1:
        raise problems[0]
    if problems:
        hints = dict.fromkeys(each.hint for each in problems if each.hint)
        raise UserError(
            "\n  ".join(["several things are in the way:", *(p.message for p in problems)]),
            "; ".join(hints),
        )


def _missing_packages(recipe: Recipe, models: Sequence[tuple[str, Any]]) -> Iterator[UserError]:
    wanted = [
        (f"{role} (family `{m.family}`)", *_NEEDED.get(m.family, ("", ""))) for role, m in models
    ]
    if recipe.data.source == "huggingface":
        wanted.append(("data (source `huggingface`)", "datasets", _NEEDED["huggingface"][1]))
    for what, name, hint in wanted:
        if name and find_spec(name) is None:
            yield UserError(f"{what} needs the package {name}, which is not installed", hint)


def _missing_libraries(planned: Sequence[Step]) -> list[UserError]:
    from edgedistill.runtimes import RUNTIMES
    from edgedistill.stages import STAGES
    from edgedistill.stages.export import Config as Export

    found = []
    wanted = {name: step.name for step in planned for name in STAGES[step.stage].libraries}
    for name, step in wanted.items():
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            found.append(
                UserError(f"{step}: the package `{name}` is missing", f"pip install {name}")
            )
    for config in (step.config for step in planned):
        for runtime in config.runtimes if isinstance(config, Export) else ():
            package = RUNTIMES[runtime].package
            if find_spec(RUNTIMES[runtime].import_name.partition(".")[0]) is None:
                told = f"{runtime}: the package `{package}` is missing"
                found.append(UserError(told, RUNTIMES[runtime].install))
    return found


def _models(recipe: Recipe, done: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Each model with its role, but for those whose step is done."""
    if "teacher" not in done:
        yield from _teachers(recipe.teacher)
    if "distill" in done:
        return
    for number, assistant in enumerate(recipe.assistants):
        yield f"assistant {number + 1}", assistant
    yield "student", recipe.student
    for number, peer in enumerate(recipe.stages.distill.peers):
        yield f"peer {number + 1}", peer


def _teachers(teacher: Teacher) -> Iterator[tuple[str, Any]]:
    if isinstance(teacher, Ensemble):
        yield from ((f"member {at}", each.teacher) for at, each in enumerate(teacher.members))
    else:
        yield "teacher", teacher


def _images(recipe: Recipe) -> Images | None:
    """None where only reading the data would tell."""
    from edgedistill.data.sources import open_source

    data = recipe.data
    # Of sound there may be classes beside those that are named.
    names: Sequence[str] | None = getattr(data, "classes", None) if data.sound is None else None
    dimensions = getattr(recipe.teacher, "embedding", None)
    if TASKS[recipe.task].by_texts and dimensions is not None:
        names = [f"dimension {number}" for number in range(dimensions)]
    elif names is None and data.source in ("digits", "folder", "parquet", "manifest", "arrays"):
        names = open_source(data, recipe.task).classes
    return None if names is None else (names, _inputs(recipe, None))


def _inputs(recipe: Recipe, size: tuple[int, int] | None) -> Inputs:
    """What a model is called with that sees the images in this size; None: the data's."""
    arrays = recipe.data.arrays
    if arrays is not None:
        return tuple(TensorSpec(name, (None, *shape)) for name, shape in arrays.items())
    return image_inputs(recipe.data.channels, *(size or recipe.data.picture_size))


def _look(role: str, model: Any, recipe: Recipe, images: Any, fetch: bool) -> Iterator[str]:
    """Raises UserError: the model cannot be made, or answers with other classes."""
    from edgedistill.models import build, check_knows, preview

    names, inputs = images
    if model.image_size is not None or role.startswith("member"):
        inputs = _inputs(recipe, recipe.teacher.image_size)
    shape = len(names), inputs
    if isinstance(model, ModelCommon):
        untrained = role == "teacher" and recipe.stages.teacher.train is None
        look = check_knows if untrained or role.startswith("member") else preview
        yield from look(model, *shape).notes
    elif model.family in _IN_A_FILE:
        sound = recipe.data.sound
        _ask(model, (names, inputs), None if sound is None else sound.rate)
    if not _would_be_downloaded(model):
        return
    if fetch and isinstance(model, ModelCommon):
        build(model, *shape)
    else:
        yield "its pretrained weights are not on this disk: compiling downloads them"


def _would_be_downloaded(model: Any) -> bool:
    if model.family in ("torchvision", "timm"):
        from edgedistill.models.making import family_of

        wanted = model.weights is None and model.pretrained
        return wanted and family_of(model).pretrained_file(model) is None
    if model.family in ("huggingface", "clip") and not Path(model.name).is_dir():
        from huggingface_hub import try_to_load_from_cache

        return not isinstance(try_to_load_from_cache(model.name, "config.json"), str)
    return False


def _ask(teacher: Any, images: Images, rate: int | None) -> None:
    """About a blank image, or silence of that rate. Raises UserError: it does not open, or answers
    otherwise than the data has classes."""
    import numpy as np

    from edgedistill.distill.teachers import (
        TeacherBatch,
        TeacherContext,
        fits_a_layer,
        open_body,
        open_teacher,
    )
    from edgedistill.scratch import scratch_folder

    names, inputs = images
    first = np.zeros(1, np.int64)
    blank = {each.name: np.zeros(each.of_batch(1), np.float32) for each in inputs}
    with scratch_folder() as folder:
        context = TeacherContext(folder, names, inputs, rate=rate)
        opened = open_body(teacher, context) if fits_a_layer(teacher) else None
        asked = opened or open_teacher(teacher, context)
        list(asked.predict(TeacherBatch(first, first, False, blank)))
