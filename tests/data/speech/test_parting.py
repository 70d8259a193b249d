from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgedistill.data.speech.parting import least_piece, parted, quietest

RATE = 100
Samples = np.ndarray[Any, np.dtype[np.int16]]


def noise(seed: int, count: int) -> Samples:
    random = np.random.default_rng(seed)
    loud = np.repeat(random.choice([0, 3, 300, 30_000], count // 10 + 1), 10)[:count]
    return (loud * random.uniform(-1, 1, count)).astype(np.int16)


def blocks(samples: Samples, size: int) -> list[Samples]:
    return [samples[start : start + size] for start in range(0, len(samples), size)]


@given(
    st.integers(0, 10**6), st.integers(1, 1500), st.integers(2, 400), st.integers(1, 500),
    st.integers(1, 500),
)  # fmt: skip
def test_pieces_are_all_of_it_and_none_is_too_long_or_too_short(
    seed: int, count: int, window: int, block: int, other: int
) -> None:
    samples = noise(seed, count)
    pieces = list(parted(blocks(samples, block), window, RATE))
    np.testing.assert_array_equal(np.concatenate(pieces), samples)
    assert max(map(len, pieces)) <= window
    assert min(map(len, pieces)) >= min(count, least_piece(window, RATE))
    assert all(len(piece) >= window // 2 for piece in pieces[:-1])
    again = list(parted(blocks(samples, other), window, RATE))
    assert list(map(len, again)) == list(map(len, pieces))


@given(st.integers(0, 10**6), st.integers(2, 400))
def test_what_fits_stays_whole(seed: int, window: int) -> None:
    samples = noise(seed, window)
    (piece,) = parted(blocks(samples, 7), window, RATE)
    np.testing.assert_array_equal(piece, samples)


@given(st.integers(0, 10**6), st.integers(150, 260))
def test_a_pause_is_where_it_is_parted(seed: int, pause: int) -> None:
    samples = np.random.default_rng(seed).integers(1000, 30_000, 400).astype(np.int16)
    samples[pause : pause + 30] = 0
    first, *_ = parted([samples], 300, RATE)
    assert pause <= len(first) <= pause + 30


def test_of_equals_the_latest_is_taken() -> None:
    assert quietest(np.zeros(300, np.int16), 150, 290, RATE) == 290


def test_the_shortest_piece_is_a_second_where_windows_allow_it() -> None:
    assert least_piece(30 * RATE, RATE) == RATE
    assert least_piece(3 * RATE // 2, RATE) == 3 * RATE // 4


def test_loudness_does_not_overflow() -> None:
    samples = np.full(4000, -32768, np.int16)
    samples[2500:2600] = 32767
    assert 2500 <= quietest(samples, 2000, 4000, RATE) <= 2600
