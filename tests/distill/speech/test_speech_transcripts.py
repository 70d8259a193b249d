"""Transcripts on disk, in whatever order they were asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgedistill.distill.speech.learning import renumbered, sayable
from edgedistill.distill.speech.transcripts import Transcripts, join, open_transcripts

END = 9
SAID = st.lists(
    st.tuples(st.lists(st.integers(0, 8), max_size=5), st.booleans()), min_size=1, max_size=9
)


def transcripts(said: list[tuple[list[int], bool]]) -> Transcripts:
    """Of utterances, each with whether it ended; what was likely is the token and the next."""
    rows = [[*tokens, *([END] if ended else [])] for tokens, ended in said]
    tokens = np.array([each for row in rows for each in row], np.int32)
    return Transcripts(
        offsets=np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64),
        tokens=tokens,
        likely=np.stack([tokens, (tokens + 1) % 10], 1),
        log_probabilities=np.log(np.tile([0.7, 0.2], (len(tokens), 1))).astype(np.float16),
        sure=np.arange(len(rows), dtype=np.float32),
        no_speech=np.zeros(len(rows), np.float32),
        ended=np.array([ended for _, ended in said]),
    )


@given(SAID, st.randoms(use_true_random=False), st.integers(1, 4))
def test_parts_in_any_order_are_joined_to_the_whole(said, random, size) -> None:  # type: ignore[no-untyped-def]
    order = list(range(len(said)))
    random.shuffle(order)
    parts = [order[at : at + size] for at in range(0, len(order), size)]
    found = join([transcripts([said[each] for each in part]) for part in parts], order)
    for at, (tokens, ended) in enumerate(said):
        assert found.said(at).tolist() == tokens
        assert found.ended[at] == ended
    assert sorted(found.sure.tolist()) == sorted(
        float(place) for part in parts for place in range(len(part))
    )


def test_they_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = transcripts([([1, 2], True), ([], True), ([3], False)])
    written.write(tmp_path)
    found = open_transcripts(tmp_path)
    for name, value in vars(written).items():
        np.testing.assert_array_equal(getattr(found, name), value)


@given(SAID, st.sets(st.integers(0, 8), min_size=1))
def test_in_a_smaller_vocabulary_what_lacks_a_token_cannot_be_said(
    said: list[tuple[list[int], bool]], kept: set[int]
) -> None:
    tokens = [*sorted(kept), END]
    found = renumbered(transcripts(said), tokens, 10)
    whole = [set(each) <= kept and bool(each or ended) for each, ended in said]
    assert sayable(found).tolist() == whole
    for at, fits in enumerate(whole):
        if fits:
            assert [tokens[each] for each in found.said(at)] == said[at][0]
    gone = ~np.isin(transcripts(said).likely, tokens)
    assert (found.log_probabilities[gone] < -50).all()
    assert (found.likely >= 0).all()
