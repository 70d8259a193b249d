"""A classifier of sound from Hugging Face as teacher: Wav2Vec2, HuBERT, AST, Whisper and their
kin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from edgedistill.distill.teachers import (
    Floats,
    Predictions,
    TeacherBatch,
    TeacherContext,
    check_answers,
)
from edgedistill.distill.teachers.huggingface import class_order, imported, load
from edgedistill.distill.teachers.model_file import cannot
from edgedistill.errors import UserError
from edgedistill.models import accelerated
from edgedistill.predict import torch_predictor
from edgedistill.recipe import HuggingFaceTeacher as Config


class SoundTeacher:
    """Answers with the model's logits (batch, classes), in the order of the data's classes. Its
    own feature extractor hears the raw samples, at its own rate."""

    def __init__(self, config: Config, context: TeacherContext) -> None:
        """Raises UserError: it cannot be loaded, is no whole classifier of sound, has other
        classes, or is to be run by OpenVINO."""
        if config.backend == "openvino":
            raise UserError(
                f"{config.name}: `backend: openvino` is for classifiers of pictures",
                "leave `teacher.backend` out: torch runs it",
            )
        transformers = imported()
        self._name, self._classes = config.name, context.classes
        self._extractor, model = load(
            transformers, config.name, "AutoModelForAudioClassification", "AutoFeatureExtractor"
        )
        assert context.rate is not None, "sound of no known rate"
        self._rate = context.rate
        self._order = class_order(model.config.id2label, context.classes, config.name)
        name = model.main_input_name
        self._input = name
        self._predict = torch_predictor(
            accelerated(model),
            context.precision,
            lambda features: model(**{name: features}).logits,
        )

    def predict(self, batch: TeacherBatch) -> Iterator[Predictions]:
        """All at once. Raises UserError: its extractor makes features that the model does not
        take, or the answers are not (batch, classes)."""
        try:
            logits = self._predict(self._features(batch.sound))
        except (ValueError, RuntimeError) as error:
            raise cannot(
                self._name,
                "run on the data's windows of sound",
                error,
                "check `data.sound.seconds`, and the lengths in its preprocessor_config.json",
            ) from error
        count = len(batch.ids)
        logits = logits if self._order is None else logits[:, self._order]
        yield Predictions(np.arange(count), check_answers(logits, count, self._classes, self._name))

    def _features(self, sound: Floats) -> Floats:
        """What the model takes of windows (batch, length), float32."""
        wanted = int(self._extractor.sampling_rate)
        windows = [resampled(each, self._rate, wanted) for each in sound]
        found: Any = self._extractor(windows, sampling_rate=wanted, return_tensors="np")
        return np.ascontiguousarray(found[self._input], np.float32)


def resampled(samples: Floats, rate: int, wanted: int) -> Floats:
    """Samples (length,) at `rate` Hz as they are at `wanted` Hz."""
    if rate == wanted:
        return samples
    import soxr

    found: Floats = soxr.resample(samples, rate, wanted)
    return found
