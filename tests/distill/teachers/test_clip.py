from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from asking import answers, batch, context

from edgedistill.cache import Cache
from edgedistill.distill.teachers import open_teacher
from edgedistill.errors import UserError
from edgedistill.pipeline import run_until
from edgedistill.recipe import ClipTeacher, parse_recipe
from edgedistill.records import TextsRecord
from edgedistill.target import load_target

pytest.importorskip("transformers")

CAPTIONS = ["a cat", "a dog at night"]
SPACE = 6


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CLIP of one layer on either side, and a tokenizer of a few words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
             "num_attention_heads": 2}  # fmt: skip
    config = CLIPConfig(
        text_config={**small, "vocab_size": 8, "max_position_embeddings": 7, "eos_token_id": 1,
                     "bos_token_id": 0, "pad_token_id": 1},
        vision_config={**small, "image_size": 8, "patch_size": 4},
        projection_dim=SPACE,
    )  # fmt: skip
    place = tmp_path_factory.mktemp("clip")
    CLIPModel(config).eval().save_pretrained(place)
    CLIPImageProcessor(
        size={"shortest_edge": 8}, crop_size={"height": 8, "width": 8}
    ).save_pretrained(place)
    words = ["<s>", "</s>", "<unk>", "a", "cat", "dog", "at", "night"]
    tokens = Tokenizer(models.WordLevel({w: n for n, w in enumerate(words)}, unk_token="<unk>"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    tokens.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokens, unk_token="<unk>", pad_token="</s>", eos_token="</s>"
    ).save_pretrained(place)
    return place


def teacher(folder: Path, embedding: int = SPACE) -> Any:
    config = ClipTeacher(family="clip", name=str(folder), embedding=embedding)
    return open_teacher(config, context(classes=[f"dimension {n}" for n in range(embedding)]))


def test_images_and_texts_lie_where_the_model_places_them(folder: Path) -> None:
    from transformers import AutoImageProcessor, AutoTokenizer, CLIPModel

    asked, opened = batch(), teacher(folder)
    images, texts = answers(opened, asked), opened.texts(CAPTIONS)
    model = CLIPModel.from_pretrained(folder).eval()
    coded = AutoTokenizer.from_pretrained(folder)(CAPTIONS, padding=True, return_tensors="pt")
    shown = torch.from_numpy(asked.images).permute(0, 3, 1, 2)
    pixels = AutoImageProcessor.from_pretrained(folder)(shown, return_tensors="pt")
    with torch.no_grad():
        wanted = model(**coded, pixel_values=pixels["pixel_values"]).logits_per_image.numpy()
    assert np.allclose(texts.similarities(images), wanted, atol=1e-3)
    assert np.allclose(np.linalg.norm(texts.embeddings, axis=1), 1)


def test_another_space_than_the_recipe_s_is_said(folder: Path) -> None:
    with pytest.raises(UserError) as raised:
        teacher(folder, 9).texts(CAPTIONS)
    assert raised.value.message == f"{folder}: its space has 6 dimensions, the recipe says 9"
    assert raised.value.hint == "set `teacher.embedding: 6`"


def test_a_model_without_texts_is_refused(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    ViTModel(ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                       intermediate_size=8, image_size=8, patch_size=4)
             ).save_pretrained(tmp_path)  # fmt: skip
    ViTImageProcessor(size={"height": 8, "width": 8}).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="is a ViTModel, which has no text encoder"):
        teacher(tmp_path)


class Silent:
    def say(self, text: str) -> None:
        pass

    def tick(self, label: str, done: float, total: float, note: str = "") -> None:
        pass


def test_a_student_is_distilled_from_it(folder: Path, tmp_path: Path) -> None:
    document = {
        "name": "tiny", "task": "retrieval",
        "data": {"source": "digits", "channels": 3, "image_size": 8, "limit": 60},
        "teacher": {"family": "clip", "name": str(folder), "embedding": SPACE},
        "student": {"family": "resnet_cifar", "depth": 8, "widths": [8, 8, 8]},
        "stages": {"teach": {"views": 1}, "distill": {"epochs": 1, "batch_size": 16}},
    }  # fmt: skip
    made = run_until(parse_recipe(document, "test"), load_target("android-arm64"),
                     Cache(tmp_path), Silent(), "distill")  # fmt: skip
    assert TextsRecord.read(made["teacher"]).captions[3] == "a photo of a 3"
    assert 0 <= made["teacher"].metrics["validation_quality"] <= 100
    assert made["distill"].metrics["samples_seen"] > 0
