from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import SIZE, answers, batch, context, linear, softmax, weights
from hearing import LENGTH, heard, hearing, mapping

from edgedistill.distill.teachers import Teacher, open_teacher
from edgedistill.distill.teachers.keras import open_here
from edgedistill.errors import UserError
from edgedistill.recipe import KerasTeacher


def teacher(path: Path, channels: int = 3, **settings: Any) -> Teacher:
    config = KerasTeacher(family="keras", path=path, **settings)
    return open_here(config, context(channels=channels))


def refusal(path: Path, channels: int = 3) -> UserError:
    with pytest.raises(UserError) as raised:
        teacher(path, channels)
    return raised.value


def test_the_package_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    error = refusal(tmp_path)
    assert error.message.startswith("the `keras` family needs the package tensorflow (")
    assert error.hint == "pip install 'edgedistill[tensorflow]'"


def test_a_file_that_is_missing_or_of_another_name(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    assert refusal(path).message == f"teacher: not found: {path}"
    path.touch()
    error = refusal(path)
    assert error.message == f"{path}: not a Keras model by its name"
    assert error.hint == "give a `.keras` file, an `.h5` file, or a SavedModel folder"


@pytest.fixture(scope="module")
def keras() -> Any:
    pytest.importorskip("tensorflow")
    return pytest.importorskip("keras")


def classifier(keras: Any, *last: Any, size: int = SIZE, first: tuple[Any, ...] = ()) -> Any:
    """A linear classifier, `last` layers after it and `first` before."""
    layers = [keras.Input((size, size, 3)), *first, keras.layers.Flatten()]
    dense = keras.layers.Dense(3, use_bias=False)
    model = keras.Sequential([*layers, dense, *last])
    if size == SIZE:
        dense.set_weights([weights()])
    return model


Write = Callable[[Any, Path], Path]


def _file(suffix: str) -> Write:
    def write(model: Any, folder: Path) -> Path:
        path = folder / f"a{suffix}"
        model.save(path)
        return path

    return write


def _folder(model: Any, folder: Path) -> Path:
    model.export(folder / "saved", verbose=False)
    return folder / "saved"


FORMS = pytest.mark.parametrize(
    "write", [_file(".keras"), _file(".h5"), _folder], ids=["keras", "h5", "folder"]
)


@FORMS
def test_pixels_are_normalized_and_answers_come_back(
    keras: Any, tmp_path: Path, write: Write
) -> None:
    path, asked = write(classifier(keras), tmp_path), batch()
    found = answers(teacher(path, mean=(0.5,) * 3, std=(0.25,) * 3), asked)
    normalized = (asked.pixels - np.float32(0.5)) / np.float32(0.25)
    assert np.allclose(found, linear(normalized, "NHWC"), atol=1e-4)


@FORMS
def test_windows_of_sound_are_taken(keras: Any, tmp_path: Path, write: Write) -> None:
    dense = keras.layers.Dense(3, use_bias=False)
    model = keras.Sequential([keras.Input((LENGTH,)), dense])
    dense.set_weights([mapping()])
    asked, config = heard(), KerasTeacher(family="keras", path=write(model, tmp_path))
    found = answers(open_here(config, hearing()), asked)
    assert np.allclose(found, asked.sound @ mapping(), atol=1e-4)


def test_a_recipe_s_teacher_answers_from_a_process_of_its_own(keras: Any, tmp_path: Path) -> None:
    config = KerasTeacher(family="keras", path=_file(".keras")(classifier(keras), tmp_path))
    asked = batch()
    apart = open_teacher(config, context())
    assert np.allclose(
        answers(apart, asked), answers(open_here(config, context()), asked), atol=1e-5
    )
    with pytest.raises(UserError, match="takes images of 8x8 pixels, it is shown 4x4"):
        open_teacher(config, context(size=4))


@FORMS
def test_probabilities_are_given_as_their_logarithms(
    keras: Any, tmp_path: Path, write: Write
) -> None:
    asked = batch()
    path = write(classifier(keras, keras.layers.Softmax()), tmp_path)
    found = answers(teacher(path, outputs="probabilities"), asked)
    assert np.allclose(softmax(found), softmax(linear(asked.pixels, "NHWC")), atol=1e-5)
    assert found.max() <= 0


@FORMS
def test_images_of_another_size_or_channels_are_refused(
    keras: Any, tmp_path: Path, write: Write
) -> None:
    path = write(classifier(keras, size=16), tmp_path)
    assert refusal(path).message == (f"{path}: takes images of 16x16 pixels, it is shown 8x8")
    assert refusal(path, channels=1).message == (
        f"{path}: takes images of 3 channels, the data's have 1"
    )


@pytest.mark.parametrize("write", [_file(".keras"), _file(".h5")], ids=["keras", "h5"])
def test_a_lambda_layer_is_refused_and_its_export_taken(
    keras: Any, tmp_path: Path, write: Write
) -> None:
    model = classifier(keras, first=(keras.layers.Lambda(lambda pixels: pixels * 2),))
    path, asked = write(model, tmp_path), batch()
    error = refusal(path)
    assert error.message == (
        f"{path}: has a Lambda layer, which is Python code inside the file; refused"
    )
    assert error.hint == (
        "where the model was made, `model.export('folder')` writes a SavedModel, which holds that "
        "code as TensorFlow operators: give the folder"
    )
    found = answers(teacher(_folder(model, tmp_path)), asked)
    assert np.allclose(found, 2 * linear(asked.pixels, "NHWC"), atol=1e-4)


def test_a_layer_that_is_not_known_here_points_to_an_export(keras: Any, tmp_path: Path) -> None:
    class Theirs(keras.layers.Layer):
        def call(self, pixels: Any) -> Any:
            return pixels

    path = _file(".keras")(classifier(keras, first=(Theirs(),)), tmp_path)
    error = refusal(path)
    assert error.message.startswith(f"{path}: cannot be loaded by Keras: ")
    assert "`model.export('folder')`" in error.hint


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_damaged_files_and_bare_weights_are_refused(
    keras: Any, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"no model")
    assert refusal(path).message.startswith(f"{path}: cannot be read: ")
    if suffix == ".h5":
        path = tmp_path / "a.weights.h5"
        classifier(keras).save_weights(path)
        assert refusal(path).message == f"{path}: holds no model, at most its weights"


def test_a_graph_that_reads_files_is_refused_before_it_is_loaded(
    keras: Any, tmp_path: Path
) -> None:
    import tensorflow as tf

    class Reader(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, SIZE, SIZE, 3])])
        def __call__(self, pixels: Any) -> Any:
            size = tf.strings.length(tf.io.read_file("/etc/hostname"))
            return tf.reshape(pixels, [-1, 192])[:, :3] + tf.cast(size, tf.float32)

    reader = Reader()
    tf.saved_model.save(reader, str(tmp_path), signatures=reader.__call__)
    error = refusal(tmp_path)
    assert error.message == f"{tmp_path}: reaches outside the model (ReadFile); refused"
    assert error.hint == "export the model without what reads files or calls Python"


def test_a_folder_that_is_no_saved_model(keras: Any, tmp_path: Path) -> None:
    assert refusal(tmp_path).message == f"{tmp_path}: has no saved_model.pb"


def test_a_saved_model_without_the_usual_signature(keras: Any, tmp_path: Path) -> None:
    import tensorflow as tf

    module = tf.Module()
    module.double = tf.function(lambda pixels: pixels * 2)
    answer = module.double.get_concrete_function(tf.TensorSpec([None, SIZE, SIZE, 3]))
    tf.saved_model.save(module, str(tmp_path), signatures={"double": answer})
    error = refusal(tmp_path)
    assert error.message == f"{tmp_path}: has no signature `serving_default` (it has: double)"
    assert error.hint == "write it with `model.export('folder')`"
