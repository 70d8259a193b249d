"""What teachers in a file of another framework share: images or sound in as the file wants them, in
batches that it takes, answers out as logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from edgedistill.distill.teachers import (
    Floats,
    Predictions,
    TeacherBatch,
    TeacherContext,
    check_answers,
    log_probabilities,
)
from edgedistill.distill.teachers.fitted import embeddings
from edgedistill.errors import UserError
from edgedistill.recipe import KerasTeacher, OnnxTeacher, TfliteTeacher
from edgedistill.runtimes.native import to_native, to_real
from edgedistill.signature import Layout, TensorSpec

Config = OnnxTeacher | TfliteTeacher | KerasTeacher
Usual = Literal["NCHW", "NHWC"]
_FLOATS = "export it with an input of floats, or of integers with a scale; of pictures also uint8"
Run = Callable[[Any], Any]
"""An array as the file's input wants it to an array as its output gives it."""


class FileTeacher:
    """`run` computes the file; `taken` describes its input, `logits` its output."""

    def __init__(
        self,
        config: Config,
        context: TeacherContext,
        taken: TensorSpec,
        run: Run,
        logits: TensorSpec | None = None,
    ) -> None:
        """Raises UserError: the file takes other images, or other sound, than the data has."""
        check = _check_pixels if context.sound is None else _check_samples
        check(config, context, taken)
        _check_kind(config, taken)
        self._config, self._room = config, context
        # Some files of sound take one window, and know no batch.
        alone = len(taken.shape) == 1
        self._run, self._size = (_each(run), 1) if alone else (run, taken.shape[0])
        self._taken = taken
        self._logits = logits or TensorSpec("logits", (None, None), "NC")

    def predict(self, batch: TeacherBatch) -> Iterator[Predictions]:
        """All at once, in batches of the file's own size. Raises UserError: the file cannot be run,
        or gives something else than (batch, classes)."""
        heard = self._room.sound is not None
        native = to_native(batch.sound, self._taken) if heard else self._encode(batch.pixels)
        try:
            found = in_batches(self._run, native, self._size)
        except MemoryError:
            raise
        except Exception as error:  # each framework raises its own kinds
            raise cannot(
                self._config.path, "run on the data's samples", error, "check what its input takes"
            ) from error
        count = len(batch.ids)
        real = to_real(found, self._logits).astype(np.float32, copy=False)
        if self._config.outputs == "embedding":
            yield Predictions(np.arange(count), embeddings(real, count, str(self._config.path)))
            return
        answers = check_answers(real, count, self._room.classes, str(self._config.path))
        if self._config.outputs == "probabilities":
            answers = log_probabilities(answers)
        yield Predictions(np.arange(count), answers)

    def _encode(self, pixels: Floats) -> Any:
        for values, change in ((self._config.mean, np.subtract), (self._config.std, np.divide)):
            if values is not None:
                pixels = change(pixels, np.array(values, np.float32)[:, None, None])
        if _takes_bytes(self._taken):
            pixels = np.rint(pixels * np.float32(255))
        return to_native(pixels, self._taken)


def _each(run: Run) -> Run:
    """Of a file that takes one window (length,): (1, length) to (1, values), of frames their
    mean."""

    def of_batch(samples: Any) -> Any:
        found = np.asarray(run(samples[0]))
        return found.reshape(1, -1, found.shape[-1]).mean(axis=1)

    return of_batch


def in_batches(run: Run, samples: Any, size: int | None) -> Any:
    """`run` on all `samples` at once, or on `size` at a time, the last ones repeated to fill up."""
    if size is None:
        return run(samples)
    parts = []
    for start in range(0, len(samples), size):
        part = samples[start : start + size]
        filled = np.concatenate([part, *[part[-1:]] * (size - len(part))])
        parts.append(run(filled)[: len(part)])
    return np.concatenate(parts)


def layout_of(shape: Sequence[int | None], usual: Usual) -> Layout:
    """Where the channels of a 4-D input stand: the axis that has 1 or 3, or else as is `usual`."""
    if len(shape) != 4:
        return "NC"
    first, last = (shape[axis] in (1, 3) for axis in (1, 3))
    if first == last:
        return usual
    return "NCHW" if first else "NHWC"


def existing(path: Path) -> Path:
    """`path`, if there is something. Raises UserError."""
    if not path.exists():
        raise UserError(f"teacher: not found: {path}", "check the path in `teacher`")
    return path


def only(items: Sequence[Any], path: Path, names: Sequence[str]) -> Any:
    """The one input. Raises UserError: there are several."""
    if len(items) != 1:
        raise UserError(
            f"{path}: has {len(items)} inputs ({', '.join(names)}), not one",
            "a teacher takes the samples and nothing else: export it again without the others",
        )
    return items[0]


def cannot(who: object, what: str, error: Exception, hint: str) -> UserError:
    """A framework's own error, in its first words."""
    return UserError(f"{who}: cannot {what}: {str(error).strip()[:300]}", hint)


def _takes_bytes(pixels: TensorSpec) -> bool:
    """Whether it wants images as they are stored, 0..255."""
    return pixels.dtype == "uint8" and pixels.scale is None


def _check_samples(config: Config, context: TeacherContext, taken: TensorSpec) -> None:
    path, shape = config.path, taken.shape
    if len(shape) not in (1, 2):
        raise UserError(
            f"{path}: its input `{taken.name}` has shape {list(shape)}",
            "windows of sound are (batch, length), or one is (length), raw samples in -1..1",
        )
    length = shape[-1]
    if length not in (None, context.sound):
        assert context.rate is not None, "sound of no known rate"
        raise UserError(
            f"{path}: takes windows of {length} samples, the data's have {context.sound}",
            f"at {context.rate} Hz that is `data.sound.seconds: {length / context.rate:g}`; or "
            "export the teacher for the data's windows",
        )
    if _takes_bytes(taken):
        raise UserError(f"{path}: its input `{taken.name}` is uint8", _FLOATS)


def _check_kind(config: Config, taken: TensorSpec) -> None:
    floats = taken.dtype in ("float16", "float32")
    if not floats and taken.scale is None and not _takes_bytes(taken):
        raise UserError(f"{config.path}: its input `{taken.name}` is {taken.dtype}", _FLOATS)


def _check_pixels(config: Config, context: TeacherContext, pixels: TensorSpec) -> None:
    path = config.path
    if len(pixels.shape) != 4:
        raise UserError(
            f"{path}: its input `{pixels.name}` has shape {list(pixels.shape)}",
            "images are (batch, channels, height, width) or (batch, height, width, channels)",
        )
    _, *image = pixels.shape
    channels, height, width = image if pixels.layout == "NCHW" else (image[2], *image[:2])
    have, *size = context.image
    if channels not in (None, have):
        raise UserError(
            f"{path}: takes images of {channels} channels, the data's have {have}",
            "`data.channels` says what the data's images are turned into",
        )
    if height not in (None, size[0]) or width not in (None, size[1]):
        raise UserError(
            f"{path}: takes images of {height}x{width} pixels, it is shown {size[0]}x{size[1]}",
            f"set `teacher.image_size: {[height, width]}`, or export the teacher for the data's",
        )
    given = {key: getattr(config, key) for key in ("mean", "std")}
    for key, values in given.items():
        if values is not None and len(values) != have:
            raise UserError(
                f"{path}: `{key}` has {len(values)} values, the images have {have} channels",
                "give one for each channel",
            )
    if _takes_bytes(pixels) and any(values is not None for values in given.values()):
        raise UserError(
            f"{path}: takes pixels as uint8 in 0..255, so `mean` and `std` have no place",
            "leave them out",
        )
