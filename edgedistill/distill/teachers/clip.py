"""An image-text encoder from Hugging Face as teacher of a retrieval: CLIP, SigLIP and their kin."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from edgedistill.distill.teachers import Predictions, TeacherBatch, TeacherContext, check_answers
from edgedistill.distill.teachers.huggingface import cannot_run, imported, load, pixels_for
from edgedistill.errors import UserError
from edgedistill.models import accelerated
from edgedistill.predict import torch_predictor
from edgedistill.recipe import ClipTeacher as Config
from edgedistill.tasks.retrieval import Texts


class ClipTeacher:
    """Answers with the images' embeddings (batch, dimensions)."""

    def __init__(self, config: Config, context: TeacherContext) -> None:
        """Raises UserError: it cannot be loaded, or has no two encoders that meet in one space of
        `embedding` dimensions."""
        transformers = imported()
        self._config, self._dimensions = config, context.classes
        self._processor, self._model = load(transformers, config.name, "AutoModel")
        if not hasattr(self._model, "get_text_features"):
            raise UserError(
                f"{config.name}: is a {type(self._model).__name__}, which has no text encoder",
                "give an image-text encoder such as CLIP or SigLIP",
            )
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(
            config.name, trust_remote_code=False
        )
        self._predict = torch_predictor(
            accelerated(self._model),
            context.precision,
            _features(self._model.get_image_features),
        )

    def predict(self, batch: TeacherBatch) -> Iterator[Predictions]:
        """The images' embeddings, (batch, dimensions), in place of logits. Raises UserError: its
        processor makes images that the model does not take."""
        try:
            images = self._predict(pixels_for(self._processor, batch))
        except ValueError as error:
            raise cannot_run(self._config.name, error) from error
        count = len(batch.ids)
        yield Predictions(
            np.arange(count), check_answers(images, count, self._dimensions, self._config.name)
        )

    def texts(self, captions: Sequence[str]) -> Texts:
        """Raises UserError: the space has other dimensions than the recipe says."""
        import torch

        length = self._model.config.text_config.max_position_embeddings
        coded = self._tokenizer(
            list(captions), padding="max_length", truncation=True, max_length=length,
            return_tensors="pt",
        )  # fmt: skip
        with torch.no_grad():
            found = _features(self._model.get_text_features)(**coded.to(self._model.device))
            placed = torch.nn.functional.normalize(found.float(), dim=1).cpu().numpy()
            scale = float(self._model.logit_scale.exp())
        if placed.shape[1] != self._config.embedding:
            raise UserError(
                f"{self._config.name}: its space has {placed.shape[1]} dimensions, the recipe says "
                f"{self._config.embedding}",
                f"set `teacher.embedding: {placed.shape[1]}`",
            )
        return Texts(placed, scale)


def open_(config: Config, context: TeacherContext) -> ClipTeacher:
    """The teacher. Raises UserError as `ClipTeacher` does."""
    return ClipTeacher(config, context)


def _features(encode: Callable[..., Any]) -> Callable[..., Any]:
    """What an encoder gives: a tensor in older versions, in newer ones among others."""

    def run(*images: Any, **texts: Any) -> Any:
        found = encode(*images, **texts)
        return getattr(found, "pooler_output", found)

    return run
