"""The likeliest token, one after the other, of a recognizer whose logits are written down."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgedistill.transcribing.decoding import Decoded, Floats, Guards, greedy
from edgedistill.transcribing.rules import Rules

COUNT, END, NO_SPEECH = 12, 11, 10
RULES = Rules(
    prompt=(7, 8), end=END, suppressed=(7, 8, 9, NO_SPEECH), suppressed_first=(6, END), limit=40,
    no_speech=NO_SPEECH,
)  # fmt: skip
WORDS = st.integers(0, 5)
SAMPLES = np.zeros(16, np.float32)


class Scripted:
    """Says what is written, whatever is said to it; it notes what that was."""

    def __init__(self, written: list[int], after: int = END) -> None:
        self.written, self.after = written, after
        self.told: list[tuple[int, int]] = []
        self.heard: list[Floats] = []

    def hear(self, samples: Floats) -> None:
        self.heard.append(samples)

    def step(self, token: int, position: int) -> Floats:
        self.told.append((token, position))
        return self.logits(position)

    def logits(self, position: int) -> Floats:
        at = position - len(RULES.prompt) + 1
        wanted = self.written[at] if 0 <= at < len(self.written) else self.after
        found = np.random.default_rng(position).random(COUNT).astype(np.float32)
        found[wanted] += 3
        return found


def decoded(
    written: list[int], guards: Guards | None = None, rules: Rules = RULES, after: int = END
) -> Decoded:
    return greedy(Scripted(written, after), SAMPLES, rules, guards)


@settings(max_examples=40, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=30))
def test_it_says_what_is_likeliest_until_the_end(written: list[int]) -> None:
    recognizer = Scripted(written)
    found = greedy(recognizer, SAMPLES, RULES)
    assert found.tokens == tuple(written)
    assert (found.ended, found.looped) == (True, False)
    assert [token for token, _ in recognizer.told] == [*RULES.prompt, *written]
    assert [position for _, position in recognizer.told] == [*range(2 + len(written))]
    assert len(recognizer.heard) == 1 and recognizer.heard[0] is SAMPLES


@settings(max_examples=40, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=60), st.integers(3, 40))
def test_no_more_than_the_limit_is_said(written: list[int], limit: int) -> None:
    recognizer = Scripted(written)
    found = greedy(recognizer, SAMPLES, replace(RULES, limit=limit))
    assert found.tokens == tuple(written[: limit - 2])
    assert found.ended == (len(written) < limit - 2)
    assert max(position for _, position in recognizer.told) < limit - 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=30))
def test_what_is_suppressed_is_never_said(written: list[int]) -> None:
    said = decoded(written).tokens
    assert not {*said} & {*RULES.suppressed, END}
    assert said[0] not in RULES.suppressed_first
    for place, (wanted, token) in enumerate(zip(written, said, strict=False)):
        never = {*RULES.suppressed, *(RULES.suppressed_first if place == 0 else ())}
        if wanted not in never:
            assert token == wanted


def test_of_what_is_left_the_likeliest_is_said() -> None:
    found = decoded([9, 6, 1])
    logits = Scripted([9, 6, 1]).logits(1)
    logits[[6, 7, 8, 9, 10, 11]] = -1
    assert found.tokens == (int(logits.argmax()), 6, 1)


def test_the_end_may_be_said_first_where_nothing_forbids_it() -> None:
    free = replace(RULES, suppressed=(), suppressed_first=())
    found = decoded([], rules=free)
    assert (found.tokens, found.ended) == ((), True)
    assert decoded([6, 9, 10, 7], rules=free).tokens == (6, 9, 10, 7)


@settings(max_examples=40, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=30), st.booleans())
def test_its_probability_is_that_of_what_is_not_suppressed(written: list[int], ends: bool) -> None:
    rules = RULES if ends else replace(RULES, limit=2 + len(written))
    script, wanted = Scripted(written), []
    for place, token in enumerate([*written, END] if ends else written):
        logits = torch.from_numpy(script.logits(place + 1)).double()
        logits[[*RULES.suppressed]] = -torch.inf
        if place == 0:
            logits[[*RULES.suppressed_first]] = -torch.inf
        wanted.append(float(torch.log_softmax(logits, 0)[token]))
    assert decoded(written, rules=rules).log_probability == pytest.approx(np.mean(wanted))


def test_large_logits_have_a_probability_too() -> None:
    class Loud(Scripted):
        def logits(self, position: int) -> Floats:
            return super().logits(position) * np.float32(1e4)

    found = greedy(Loud([1, 2]), SAMPLES, RULES)
    assert found.tokens == (1, 2)
    assert found.log_probability == pytest.approx(0.0)


def test_no_speech_is_what_follows_the_start() -> None:
    logits = torch.from_numpy(Scripted([1]).logits(0)).double()
    wanted = float(torch.softmax(logits, 0)[NO_SPEECH])
    assert decoded([1]).no_speech == pytest.approx(wanted)
    silent = decoded([1], Guards(no_speech=wanted - 1e-6))
    assert silent == Decoded(tokens=(), log_probability=0.0, no_speech=silent.no_speech, ended=True)
    assert decoded([1], Guards(no_speech=wanted + 1e-6)).tokens == (1,)
    assert decoded([1], Guards(no_speech=0.0), replace(RULES, no_speech=None)).no_speech == 0.0


@pytest.mark.parametrize(
    ("written", "repeats", "said"),
    [
        ([1, 2, 2, 2, 2, 3], 2, [1, 2]),
        ([1, 2, 2, 2, 3], 2, [1, 2, 2, 2, 3]),
        ([0, 1, 2, 3, 1, 2, 3, 1, 2, 3, 4], 1, [0, 1, 2, 3]),
        ([0, 1, 2, 3, 1, 2, 3, 4], 1, [0, 1, 2, 3, 1, 2, 3, 4]),
        ([5, 5], 0, [5]),
        ([1, 2, 1, 3, 1, 2], 0, [1, 2, 1, 3, 1, 2]),
    ],
)
def test_repetitions_are_taken_back(written: list[int], repeats: int, said: list[int]) -> None:
    found = decoded(written, Guards(repeats=repeats))
    assert found.tokens == tuple(said)
    assert found.looped == (said != written)
    assert found.ended == (said == written)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=36),
    st.integers(0, 3),
    st.integers(1, 5),
)
def test_a_loop_is_ended_as_soon_as_it_is_one(
    written: list[int], repeats: int, longest: int
) -> None:
    found = decoded(written, Guards(repeats=repeats, longest=longest))
    first = next((end for end in range(1, len(written) + 1)
                  if loop(written[:end], longest) > repeats), None)  # fmt: skip
    if first is None:
        assert found.tokens == tuple(written)
        assert not found.looped and found.ended
        return
    assert found.looped and not found.ended
    assert loop(list(found.tokens), longest) <= repeats
    said, cut = written[:first], len(found.tokens)
    taken = said[cut:]
    assert list(found.tokens) == said[:cut] and len(taken) % (repeats + 1) == 0
    once = taken[: len(taken) // (repeats + 1)]
    assert taken == once * (repeats + 1) == once + taken[: -len(once)]
    assert said[cut - len(once) : cut] == once


def loop(said: list[int], longest: int) -> int:
    """Times that any n-gram at the end follows itself."""
    return max(
        times
        for n in range(1, longest + 1)
        for times in range(len(said) + 1)
        if said[-n * (times + 1) :] == said[-n:] * (times + 1) or times == 0
    )


def test_a_loop_without_end_is_ended_early() -> None:
    recognizer = Scripted([1, 2], after=3)
    found = greedy(recognizer, SAMPLES, replace(RULES, limit=448), Guards(repeats=4))
    assert (found.tokens, found.looped, found.ended) == ((1, 2, 3), True, False)
    assert len(recognizer.told) == 2 + 7
