"""Which of a teacher's transcripts are kept, and why the others are not."""

from __future__ import annotations

import random
import string
from dataclasses import replace
from pathlib import Path

import pytest

from edgedistill.transcripts.filter import KINDS, FilterConfig, Kind, Transcribed, sift
from edgedistill.transcripts.normalize import normalizer

TEXT = "he told me at length how the old house by the river came down"  # 14 words
GOOD = Transcribed(text=TEXT, log_probability=-0.2, no_speech=0.01, seconds=5.0)
WRONG = TEXT.replace("house", "horse").replace("river", "rider")
DEFAULT = FilterConfig()
LONG = " ".join(["we went along the road to the next town and"] * 4)


def plain(text: str) -> str:
    """As a normalizer, without what it has to know of a language."""
    bare = text.lower().replace("[music]", "")
    return " ".join(bare.translate(str.maketrans("", "", string.punctuation)).split())


def dropped(
    *utterances: Transcribed, config: FilterConfig = DEFAULT, language: str = "en"
) -> list[Kind | None]:
    return list(sift(utterances, config, language, plain).dropped)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, None),
        ({"text": ""}, "empty"),
        ({"text": " [Music]"}, "empty"),
        ({"text": "!!!!!!!!!!!!!"}, "empty"),
        ({"text": "", "reference": TEXT}, "empty"),
        ({"text": "", "reference": ""}, None),
        ({"text": "[Music]", "reference": ""}, "empty"),
        ({"text": "no, no, no, no"}, None),
        ({"text": "no, no, no, no, no"}, "loop"),
        ({"text": TEXT + " by the river" * 5}, "loop"),
        ({"text": LONG, "seconds": 20.0}, "compressed"),
        ({"seconds": 14 / 6}, None),
        ({"seconds": 2.0}, "too fast"),
        ({"seconds": 0.0}, "too fast"),
        ({"reference": TEXT.upper() + "."}, None),
        ({"reference": TEXT, "text": TEXT.replace("river", "rider")}, None),
        ({"reference": TEXT, "text": WRONG}, "wrong"),
        ({"reference": ""}, "wrong"),
        ({"no_speech": 0.6}, None),
        ({"no_speech": 0.61}, "silent"),
        ({"no_speech": float("nan")}, "silent"),
        ({"log_probability": -1.0}, None),
        ({"log_probability": -1.01}, "unsure"),
        ({"log_probability": float("nan")}, "unsure"),
        ({"log_probability": -2.0, "no_speech": 0.9}, "silent"),
        ({"log_probability": -2.0, "no_speech": 0.9, "reference": TEXT}, None),
    ],
)
def test_why_a_transcript_is_dropped(changes: dict, kind: Kind | None) -> None:
    assert dropped(replace(GOOD, **changes)) == [kind]


def test_a_tenth_of_the_words_may_be_wrong() -> None:
    ten = "one fine day we came to see the old town"
    pairs = [replace(GOOD, text=text, reference=ten) for text in (ten.replace("fine", "fin"), "x")]
    assert dropped(*pairs) == [None, "wrong"]
    assert dropped(pairs[0], config=FilterConfig(word_error_rate=9.9)) == ["wrong"]


def test_each_bound_is_the_configs() -> None:
    bounds = FilterConfig(
        word_error_rate=50.0,
        compression_ratio=9.0,
        log_probability=-3.0,
        no_speech=1.0,
        repeats=20,
        words_per_second=20.0,
    )
    changed = [
        {"text": "no " * 20},
        {"text": LONG, "seconds": 20.0},
        {"seconds": 1.0},
        {"text": WRONG, "reference": TEXT},
        {"no_speech": 0.99},
        {"log_probability": -2.0},
    ]
    utterances = [replace(GOOD, **each) for each in changed]
    assert dropped(*utterances) == ["loop", "compressed", "too fast", "wrong", "silent", "unsure"]
    assert dropped(*utterances, config=bounds) == [None] * 6


def test_drops_are_counted_by_kind_whatever_their_order() -> None:
    changed = [
        *[{}] * 3,
        *[{"text": ""}] * 2,
        {"text": "no " * 9},
        *[{"log_probability": -2.0}] * 4,
    ]
    utterances = [replace(GOOD, **each) for each in changed]
    found = sift(utterances, DEFAULT, "en", plain)
    assert found.counts == dict.fromkeys(KINDS, 0) | {"empty": 2, "loop": 1, "unsure": 4}
    assert sum(found.counts.values()) + found.dropped.count(None) == 10
    random.Random(1).shuffle(utterances)
    assert sift(utterances, DEFAULT, "en", plain).counts == found.counts


def test_a_language_without_spaces_is_measured_by_its_characters() -> None:
    fast = replace(GOOD, text="今日はとてもいい天気ですから散歩に行きましょう", seconds=3.0)
    assert dropped(fast, replace(fast, seconds=1.5), language="ja") == [None, "too fast"]
    loop = replace(GOOD, text="ご視聴ありがとうございました" * 5, seconds=20.0)
    assert dropped(loop, language="ja") == ["loop"]


def test_with_whispers_own_normalizers(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    said = replace(GOOD, text="I won't pay $20 for the colour, Mr. Hill.")
    right = replace(said, reference="I WILL NOT PAY TWENTY DOLLARS FOR THE COLOUR MISTER HILL")
    assert sift([right], DEFAULT, "en", normalizer("en")).dropped == (None,)
    assert dropped(right) == ["wrong"]
    chinese = replace(GOOD, text="今天天气很好我们去公园", reference="今天天气很好,我们去公园。")
    off = replace(chinese, text="今天天气很差你们去花园")
    found = sift([chinese, off], DEFAULT, "zh", normalizer("zh"))
    assert found.dropped == (None, "wrong")
