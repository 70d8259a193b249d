"""Sound of any length: in pieces that are all of it, silence aside, and as one transcript."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from numpy.typing import NDArray

from edgedistill.errors import UserError
from edgedistill.transcribing.decoding import Floats, Guards, Rules
from edgedistill.transcribing.long import (
    Counted,
    Segment,
    Settings,
    joined,
    segments,
    silent,
    transcript,
)
from edgedistill.transcribing.vocabulary import Vocabulary

RATE, WINDOW = 1000, 800
START, END = 1, 0
PIECES = (b"", b"", *(f" {word}".encode() for word in ("one", "two", "three", "four")))
SETTINGS = Settings(
    language="en", rate=RATE, window=WINDOW,
    rules=Rules(prompt=(START,), end=END, suppressed=(START,), limit=8),
    guards=Guards(), vocabulary=Vocabulary(PIECES, {"<|end|>": END, "<|start|>": START}),
)  # fmt: skip


class Script:
    """Says what it is told to of each window, and keeps what it hears."""

    def __init__(self, lines: Sequence[Sequence[int]]) -> None:
        self._lines = lines
        self.heard: list[Floats] = []

    def hear(self, samples: Floats) -> None:
        self.heard.append(samples.copy())

    def step(self, token: int, position: int) -> Floats:
        line = [*self._lines[(len(self.heard) - 1) % len(self._lines)], END]
        logits = np.zeros(len(PIECES), np.float32)
        logits[line[min(position, len(line) - 1)]] = 9.0
        return logits


def noise(count: int, seed: int = 0, level: float = 3000.0) -> NDArray[np.int16]:
    return (level * np.random.default_rng(seed).normal(size=count)).astype(np.int16)


def within(found: Segment, samples: NDArray[np.int16]) -> NDArray[np.int16]:
    return samples[round(found.start * RATE) : round(found.end * RATE)]


def passed_over(samples: NDArray[np.int16]) -> bool:
    """Whether none is louder than one alone can be in 30 ms that count as silent."""
    return bool(np.abs(samples).max(initial=0) <= 10**-3.5 * 32768 * (0.03 * RATE) ** 0.5)


def in_blocks(samples: NDArray[np.int16], size: int) -> Iterator[NDArray[np.int16]]:
    return (samples[at : at + size] for at in range(0, len(samples), size))


@given(
    loud=some.lists(some.tuples(some.integers(1, 1500), some.booleans()), min_size=1, max_size=6),
    size=some.integers(1, 3000),
)
def test_pieces_are_all_of_the_sound_but_what_is_silent(
    loud: list[tuple[int, bool]], size: int
) -> None:
    samples = np.concatenate(
        [noise(count, count) if is_loud else np.zeros(count, np.int16) for count, is_loud in loud]
    )
    script, counted = Script([[2, 3]]), Counted(in_blocks(samples, size))
    found = list(segments(script, counted, SETTINGS))
    assert counted.samples == len(samples)
    end = 0.0
    for each, heard in zip(found, script.heard, strict=True):
        assert each.start >= end and each.end > each.start
        assert passed_over(within(replace(each, start=end, end=each.start), samples))
        end = each.end
        piece = within(each, samples) / np.float32(32768)
        assert len(heard) == WINDOW and np.array_equal(heard[: len(piece)], piece)
        assert not heard[len(piece) :].any()
    assert passed_over(samples[round(end * RATE) :])


def test_what_is_no_longer_than_the_window_is_decoded_at_once() -> None:
    (found,) = segments(Script([[2, 3]]), [noise(WINDOW)], SETTINGS)
    assert (found.start, found.end, found.text, found.tokens) == (0.0, 0.8, "one two", (2, 3))
    assert found.ended and not found.looped and -0.1 < found.log_probability < 0


def test_segments_are_joined_and_what_says_nothing_adds_no_space() -> None:
    samples = noise(4 * WINDOW)
    found = list(segments(Script([[2], [], [3, 4]]), [samples], SETTINGS))
    assert len(found) >= 4 and [each.text for each in found[:4]] == ["one", "", "two three", "one"]
    whole = transcript(found[:4], len(samples), SETTINGS)
    assert whole.text == "one two three one"
    assert whole.seconds == 3.2 and whole.segments == tuple(found[:4]) and whole.language == "en"


@pytest.mark.parametrize(("language", "text"), [("en", "a b c"), ("de", "a b c"), ("ja", "abc")])
def test_spaces_are_as_the_language_writes_them(language: str, text: str) -> None:
    assert joined(["a", "", "b", "c"], language) == text


def test_segments_come_before_the_sound_ends() -> None:
    given: list[int] = []

    def blocks() -> Iterator[NDArray[np.int16]]:
        for number in range(100):
            given.append(number)
            yield noise(WINDOW // 4, number)

    next(segments(Script([[2]]), blocks(), SETTINGS))
    assert len(given) < 10


def test_guards_and_the_limit_are_told() -> None:
    endless = Script([[2] * 20])
    (cut,) = segments(endless, [noise(500)], SETTINGS)
    assert cut.tokens == (2,) * 7 and not cut.ended and not cut.looped
    (looped,) = segments(endless, [noise(500)], replace(SETTINGS, guards=Guards(repeats=3)))
    assert looped.tokens == (2,) and looped.looped and not looped.ended


@pytest.mark.parametrize(
    ("samples", "is_silent"),
    [
        (np.zeros(1000, np.int16), True),
        (np.zeros(0, np.int16), True),
        (noise(1000, level=3.0), True),
        (noise(1000, level=30.0), False),
        (np.eye(1, 1000, 500, dtype=np.int16)[0] * 2000, False),
        (np.full(1000, -32768, np.int16), False),
    ],
    ids=["zeros", "nothing", "-81 dB", "-61 dB", "one click", "full scale"],
)
def test_silence_is_what_is_far_below_quiet_speech(
    samples: NDArray[np.int16], is_silent: bool
) -> None:
    assert silent(samples, RATE) == is_silent


def test_speech_of_30_ms_is_heard_in_any_silence() -> None:
    for at in range(0, 200, 7):
        samples = np.zeros(1000, np.int16)
        samples[at : at + 30] = noise(30, at, 40.0)
        assert not silent(samples, RATE)


class Broken(Script):
    def step(self, token: int, position: int) -> Floats:
        return np.full(len(PIECES), np.nan, np.float32)


def test_a_model_that_gives_no_numbers_is_told() -> None:
    with pytest.raises(UserError, match=r"from 0\.00 to 0\.50 s the recognizer gives what is no"):
        list(segments(Broken([]), [noise(500)], SETTINGS))
