from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from edgedistill.losses.features import Hint, as_map, attention, same_size


def random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_hint_vanishes_when_the_projection_reaches_the_teacher() -> None:
    hint = Hint(torch.Size((2, 4, 6, 6)), torch.Size((2, 4, 6, 6)))
    with torch.no_grad():
        hint.project.weight.copy_(torch.eye(4)[:, :, None, None])
    features = random(0, 2, 4, 6, 6)
    assert hint(features, features).abs().max() < 1e-12


def test_a_projection_learns_the_teachers_channels() -> None:
    torch.manual_seed(0)
    hint = Hint(torch.Size((8, 3, 4, 4)), torch.Size((8, 5, 4, 4)))
    student = random(0, 8, 3, 4, 4)
    teacher = torch.nn.functional.conv2d(student, random(1, 5, 3, 1, 1))
    optimizer = torch.optim.Adam(hint.parameters(), 0.05)
    for _ in range(200):
        loss = hint(student, teacher).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 1e-2


@given(st.floats(0.1, 10))
def test_attention_ignores_how_strong_features_are(scale: float) -> None:
    features = random(0, 3, 4, 5, 5)
    assert attention(features * scale, features).abs().max() < 1e-5


def test_attention_compares_models_of_different_width_and_resolution() -> None:
    values = attention(random(0, 3, 4, 8, 8), random(1, 3, 16, 4, 4))
    assert values.shape == (3,)
    assert values.min() > 0


def test_features_of_every_rank_become_maps() -> None:
    assert as_map(torch.zeros(2, 7)).shape == (2, 7, 1, 1)
    assert as_map(torch.zeros(2, 9, 7)).shape == (2, 7, 9, 1)
    assert as_map(torch.zeros(2, 7, 3, 3)).shape == (2, 7, 3, 3)


def test_the_larger_map_is_averaged_down() -> None:
    a, b = same_size(torch.ones(1, 2, 8, 8), torch.ones(1, 3, 4, 4))
    assert a.shape == (1, 2, 4, 4) and b.shape == (1, 3, 4, 4)
