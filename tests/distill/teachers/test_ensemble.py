from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asking import CLASSES, batch, context, softmax
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgedistill.distill import teachers
from edgedistill.distill.teachers import Predictions, TeacherBatch, TeacherContext, ensemble
from edgedistill.errors import UserError
from edgedistill.models import build, describe, save
from edgedistill.recipe import Ensemble, ResidualModel
from edgedistill.signature import image_inputs

CODE = """
import numpy as np

def sure(images):
    return np.tile([9.0, 0.0, 0.0], (len(images), 1))

def unsure(images):
    return np.tile([0.0, 0.0, 1.0], (len(images), 1))
"""


def config(*members: tuple[dict[str, Any], float]) -> Ensemble:
    return Ensemble.model_validate(
        {
            "family": "ensemble",
            "members": [{"teacher": each, "weight": weight} for each, weight in members],
        }
    )


def function(name: str) -> dict[str, Any]:
    return {"family": "python", "function": f"ensemble_members:{name}"}


@pytest.fixture
def _code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ensemble_members.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("_code")
def test_probabilities_are_averaged_by_weight() -> None:
    opened = teachers.open_teacher(
        config((function("sure"), 1), (function("unsure"), 3)), context()
    )
    (part,) = opened.predict(batch(2))
    sure, unsure = softmax(np.array([[9.0, 0, 0], [0, 0, 1]]))
    assert np.allclose(np.exp(part.logits), 0.25 * sure + 0.75 * unsure, atol=1e-6)
    assert part.agreement is not None
    assert part.agreement.tolist() == [0.75, 0.75]


@pytest.mark.usefixtures("_code")
def test_a_mistake_names_its_member() -> None:
    with pytest.raises(UserError) as raised:
        teachers.open_teacher(config((function("sure"), 1), (function("unsur"), 1)), context())
    assert raised.value.message == (
        "member 1: teacher.function: `ensemble_members` has no function `unsur`"
    )
    assert raised.value.hint == "did you mean `unsure`?"


def test_torch_members_lie_in_folders_of_their_own(tmp_path: Path) -> None:
    model = ResidualModel(family="resnet_cifar", depth=8)
    shape = len(CLASSES), image_inputs(3, 8, 8)
    for number in range(2):
        built = build(model, *shape)
        save(built, tmp_path / f"member{number}" / "model", describe(model, *shape))
    member = {"family": "resnet_cifar", "depth": 8, "weights": "any.safetensors"}
    opened = teachers.open_teacher(config((member, 1), (member, 1)), room_at(tmp_path))
    asked = batch(3)
    (part,) = opened.predict(asked)
    parts = [
        next(iter(teachers.open_teacher(model, room_at(tmp_path / f"member{n}")).predict(asked)))
        for n in range(2)
    ]
    mean = (softmax(parts[0].logits) + softmax(parts[1].logits)) / 2
    assert np.allclose(np.exp(part.logits), mean, atol=1e-6)


def room_at(folder: Path) -> TeacherContext:
    return TeacherContext(folder, CLASSES, image_inputs(3, 8, 8))


class Scattered:
    """A teacher that answers one image at a time, the last one first."""

    def __init__(self, logits: Any) -> None:
        self._logits = logits

    def predict(self, batch: TeacherBatch) -> Iterator[Predictions]:
        for at in reversed(range(len(batch.ids))):
            yield Predictions(np.array([at]), self._logits[at : at + 1])


@given(
    arrays(np.float32, (3, 4, 3), elements=st.floats(-20, 20, width=32)),
    st.lists(st.floats(0.125, 8), min_size=3, max_size=3),
)
def test_agreement_is_the_weight_of_those_who_vote_for_the_answer(
    logits: Any, weights: list[float]
) -> None:
    members = iter(logits)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ensemble, "open_teacher", lambda config, context: Scattered(next(members)))
        named = config(*((function("any"), weight) for weight in weights))
        (part,) = ensemble.open_(named, context()).predict(batch(4))
    shares = np.array(weights) / sum(weights)
    mean = np.einsum("m,mbc->bc", shares, [softmax(each.astype(np.float64)) for each in logits])
    assert np.allclose(np.exp(part.logits.astype(np.float64)), np.maximum(mean, 1e-7), rtol=1e-5)
    assert part.agreement is not None
    for image in range(4):
        votes = logits[:, image].argmax(axis=1) == mean[image].argmax()
        assert part.agreement[image] == pytest.approx(shares[votes].sum(), abs=1e-6)
