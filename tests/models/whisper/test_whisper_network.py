"""A Whisper's two programs are the whole model, token by token."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from whisper_models import COUNT, PROMPT, SHAPE, whisper, windows

from edgedistill.models.programs import programs
from edgedistill.models.whisper.network import Whisper
from edgedistill.signature import TensorSpec, blank


@pytest.fixture(scope="module")
def model() -> Whisper:
    return whisper()


@pytest.fixture(scope="module")
def cross(model: Whisper) -> tuple[Tensor, ...]:
    """What `encode` gives of a sound."""
    with torch.no_grad():
        return model.encode(windows(1))


def caches() -> tuple[Tensor, ...]:
    size = (1, SHAPE.decoder_heads, SHAPE.tokens, SHAPE.width // SHAPE.decoder_heads)
    return tuple(torch.zeros(size) for _ in range(2 * SHAPE.decoder_layers))


def step(
    model: Whisper, token: int, position: int, *given: Tensor
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The logits, and the caches after it."""
    numbers = [torch.tensor([each], dtype=torch.int32) for each in (token, position)]
    with torch.no_grad():
        logits, *after = model.decode_step(*numbers, *given)
    return logits, tuple(after)


@settings(max_examples=5, deadline=None)
@given(st.lists(st.integers(0, COUNT - 1), min_size=SHAPE.tokens, max_size=SHAPE.tokens))
def test_steps_are_the_whole(model: Whisper, cross: tuple[Tensor, ...], said: list[int]) -> None:
    state, found = caches(), []
    for position, token in enumerate(said):
        logits, state = step(model, token, position, *cross, *state)
        found.append(logits)
    with torch.no_grad():
        wanted = model(windows(1), torch.tensor([said]))[0]
    assert wanted.std() > 0.5
    assert torch.allclose(torch.cat(found), wanted, atol=1e-4)


@pytest.mark.parametrize("position", [0, 1, 9, SHAPE.tokens - 1])
def test_a_step_reads_nothing_of_the_caches_from_its_position_on(
    model: Whisper, cross: tuple[Tensor, ...], position: int
) -> None:
    random = torch.Generator().manual_seed(position)
    filled = tuple(torch.randn(each.shape, generator=random) for each in caches())
    other = tuple(each.clone() for each in filled)
    for each in other:
        each[:, :, position:] = 1e3 * torch.randn(each[:, :, position:].shape, generator=random)
    found, after = step(model, 65, position, *cross, *filled)
    again, changed = step(model, 65, position, *cross, *other)
    assert torch.equal(found, again)
    for kept, gave, one in zip(after, filled, changed, strict=True):
        assert torch.equal(kept[:, :, :position], gave[:, :, :position])
        assert torch.equal(kept[:, :, position + 1 :], gave[:, :, position + 1 :])
        assert torch.equal(kept[:, :, : position + 1], one[:, :, : position + 1])
        assert not torch.equal(kept[:, :, position], gave[:, :, position])


def test_a_step_reads_all_that_was_said_before(model: Whisper, cross: tuple[Tensor, ...]) -> None:
    state = caches()
    for position, token in enumerate(PROMPT):
        _, state = step(model, token, position, *cross, *state)
    found, _ = step(model, 65, 4, *cross, *state)
    for position in range(4):
        other = tuple(each.clone() for each in state)
        for each in other:
            each[:, :, position] += 1
        assert not torch.allclose(step(model, 65, 4, *cross, *other)[0], found, atol=1e-3)


def test_what_it_says_depends_on_what_it_hears_and_not_on_the_rest_of_a_batch(
    model: Whisper,
) -> None:
    tokens = torch.tensor([[*PROMPT, 65, 66]] * 3)
    with torch.no_grad():
        found = model(windows(3), tokens)
        alone = torch.cat([model(each[None], tokens[:1]) for each in windows(3)])
    assert found.shape == (3, 6, COUNT)
    assert torch.allclose(found, alone, atol=1e-4)
    assert (found[0] - found[1]).abs().max() > 0.1


def test_a_token_knows_nothing_of_those_after_it(model: Whisper) -> None:
    tokens = torch.tensor([[*PROMPT, 65, 66]])
    with torch.no_grad():
        found = model(windows(1), tokens)
        tokens[0, 4] = 70
        other = model(windows(1), tokens)
    assert torch.allclose(found[:, :4], other[:, :4], atol=1e-5)
    assert not torch.allclose(found[:, 4:], other[:, 4:], atol=1e-2)


def test_its_programs_take_and_give_what_they_say(model: Whisper) -> None:
    own = model.programs()
    assert list(own) == ["encode", "decode_step"]
    for call, signature in own.values():
        with torch.no_grad():
            gave = call(*blank(signature.inputs))
        assert [tuple(each.shape) for each in gave] == [each.shape for each in signature.outputs]
    stepping = own["decode_step"][1]
    assert own["encode"][1].inputs == (TensorSpec("samples", (1, 16_000), range=(-1.0, 1.0)),)
    names = [each.name for each in stepping.inputs]
    assert names[:2] == ["token", "position"]
    assert stepping.fresh[2:] == own["encode"][1].outputs
    assert stepping.state == {f"next_{name}": name for name in names[6:]}
    assert names[6:] == ["key_0", "value_0", "key_1", "value_1"]
    assert stepping.answer == 0
    assert set(programs(model, own["encode"][1].inputs)) == {"main", "encode", "decode_step"}


def test_windows_are_of_whole_positions() -> None:
    assert (SHAPE.samples, SHAPE.seconds) == (16_000, 1.0)
    assert SHAPE.of_seconds(30).positions == 1500
    assert SHAPE.of_seconds(0.33).seconds == pytest.approx(0.32)
