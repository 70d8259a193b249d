from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from edgedistill.models import build
from edgedistill.recipe import DualEncoderModel
from edgedistill.signature import image_inputs
from edgedistill.tasks.retrieval import Texts

CAPTIONS = ["a cat", "a photo of a dog", "Zürich, at night, " + "very " * 40 + "late"]


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    config = DualEncoderModel(
        family="dual_encoder", image={"family": "resnet_cifar", "depth": 8}, embedding=12
    )
    return build(config, 12, image_inputs(3, 8, 8)).eval()


def test_texts_have_length_one_and_do_not_depend_on_each_other(model: Any) -> None:
    texts = model.texts(CAPTIONS)
    assert texts.shape == (3, 12)
    assert torch.allclose(texts.norm(dim=1), torch.ones(3))
    assert torch.allclose(model.texts(CAPTIONS[1:2])[0], texts[1], atol=1e-6)
    assert not torch.allclose(texts[0], texts[1], atol=1e-2)


def test_a_student_s_similarities_are_those_of_the_teacher_s_texts(model: Any) -> None:
    images = torch.randn(4, 12, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = model.similarities(images, CAPTIONS)
        texts = Texts(model.texts(CAPTIONS).numpy(), float(model.scale))
    assert torch.allclose(texts.head()(images), wanted, atol=1e-5)
    assert np.allclose(texts.similarities(images.numpy()), wanted, atol=1e-5)
    assert wanted.abs().max() <= texts.scale + 1e-3


def test_both_halves_learn_from_captions(model: Any) -> None:
    pixels = torch.rand(2, 3, 8, 8)
    value = model.train().similarities(model(pixels), CAPTIONS)[:, 0].sum()
    value.backward()
    for name in ("image.conv1.weight", "text.embed.weight", "log_scale"):
        assert model.get_parameter(name).grad.abs().sum() > 0, name
