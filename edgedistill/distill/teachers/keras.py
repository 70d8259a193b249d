"""A Keras model or a TensorFlow SavedModel as teacher."""

from __future__ import annotations

import importlib
import json
import os
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from edgedistill.distill.teachers import Teacher, TeacherContext
from edgedistill.distill.teachers.apart import TeacherApart
from edgedistill.distill.teachers.model_file import (
    FileTeacher,
    Run,
    cannot,
    existing,
    layout_of,
    only,
)
from edgedistill.errors import UserError
from edgedistill.recipe import KerasTeacher
from edgedistill.runtimes.native import hushed
from edgedistill.signature import TensorSpec

SIGNATURE = "serving_default"
REFUSED = frozenset(
    ("EagerPyFunc", "MatchingFiles", "PyFunc", "PyFuncStateless", "ReadFile", "WriteFile")
)
"""Operators that reach beyond the model: into files, or into Python."""


def open_(config: KerasTeacher, context: TeacherContext) -> Teacher:
    """In a process of its own: where TensorFlow has run, training with torch may end the process
    without a word. Raises UserError as `open_here` does."""
    return TeacherApart(open_here, config, context)


def open_here(config: KerasTeacher, context: TeacherContext) -> FileTeacher:
    """A SavedModel answers with its signature `serving_default`. Of several outputs, the first of
    shape (batch, classes) is the answer.

    Raises UserError: also of a model that holds Python code.
    """
    path = existing(config.path)
    if path.is_dir():
        pixels, run = _saved_model(path)
    elif path.suffix in (".keras", ".h5", ".hdf5"):
        pixels, run = _keras_model(path)
    else:
        raise UserError(
            f"{path}: not a Keras model by its name",
            "give a `.keras` file, an `.h5` file, or a SavedModel folder",
        )
    return FileTeacher(config, context, pixels, run)


def _keras_model(path: Path) -> tuple[TensorSpec, Run]:
    keras = _imported("keras")
    if _has_lambda(_architecture(path)):
        raise UserError(
            f"{path}: has a Lambda layer, which is Python code inside the file; refused",
            "where the model was made, `model.export('folder')` writes a SavedModel, which holds "
            "that code as TensorFlow operators: give the folder",
        )
    try:
        with hushed():
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises whatever the layer that it rebuilds raised
        raise cannot(
            path,
            "be loaded by Keras",
            error,
            "layers of your own are not known here: `model.export('folder')` writes a SavedModel, "
            "which needs none; give the folder",
        ) from error
    pixels = only(model.inputs, path, [each.name for each in model.inputs])

    def run(images: Any) -> Any:
        return _answer(model.predict_on_batch(images))

    return _described(pixels.name, pixels.shape, pixels.dtype), run


def _saved_model(path: Path) -> tuple[TensorSpec, Run]:
    tf = _imported("tensorflow")
    _check_operators(path)
    try:
        with hushed():
            model = tf.saved_model.load(str(path))
    except Exception as error:  # TensorFlow's exceptions share no other base
        raise cannot(
            path, "be loaded as a SavedModel", error, "write it with `model.export('folder')`"
        ) from error
    if SIGNATURE not in model.signatures:
        named = ", ".join(model.signatures) or "none"
        raise UserError(
            f"{path}: has no signature `{SIGNATURE}` (it has: {named})",
            "write it with `model.export('folder')`",
        )
    answer = model.signatures[SIGNATURE]
    inputs = answer.structured_input_signature[1]
    name, pixels = only(list(inputs.items()), path, list(inputs))

    def run(images: Any) -> Any:
        return _answer(answer(**{name: tf.constant(images)}))

    return _described(name, pixels.shape, pixels.dtype.name), run


def _imported(name: str) -> ModuleType:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        with hushed():
            return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            f"the `keras` family needs the package tensorflow ({error})",
            "pip install 'edgedistill[tensorflow]'",
        ) from None


def _described(name: str, shape: Any, dtype: str) -> TensorSpec:
    sizes = tuple(shape)
    return TensorSpec(name, sizes, layout_of(sizes, "NHWC"), dtype)


def _answer(found: Any) -> Any:
    """The first output of shape (batch, classes), of one, a list or a mapping."""
    outputs = list(found.values()) if isinstance(found, dict) else found
    outputs = outputs if isinstance(outputs, list) else [outputs]
    arrays = [np.asarray(each) for each in outputs]
    return next((each for each in arrays if each.ndim == 2), arrays[0])


def _architecture(path: Path) -> Any:
    """What a Keras file says of its layers, read without building them."""
    import h5py

    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                return json.loads(archive.read("config.json"))
        with h5py.File(path) as file:
            return json.loads(file.attrs["model_config"])
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise cannot(
            path, "be read", error, "the file is damaged or of another kind; save it again"
        ) from error
    except KeyError:
        raise UserError(
            f"{path}: holds no model, at most its weights", "save the whole: `model.save(path)`"
        ) from None


def _has_lambda(config: Any) -> bool:
    if isinstance(config, dict):
        return config.get("class_name") == "Lambda" or any(map(_has_lambda, config.values()))
    return isinstance(config, list) and any(map(_has_lambda, config))


def _check_operators(path: Path) -> None:
    """Raises UserError: no SavedModel, or one with operators that are `REFUSED`. Loading runs its
    initializers, so this comes before."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    file = path / "saved_model.pb"
    if not file.is_file():
        raise UserError(
            f"{path}: has no saved_model.pb", "a SavedModel is written by `model.export('folder')`"
        )
    for graph in (each.graph_def for each in SavedModel.FromString(file.read_bytes()).meta_graphs):
        nodes = [*graph.node, *(node for each in graph.library.function for node in each.node_def)]
        found = sorted({node.op for node in nodes} & REFUSED)
        if found:
            raise UserError(
                f"{path}: reaches outside the model ({', '.join(found)}); refused",
                "export the model without what reads files or calls Python",
            )
