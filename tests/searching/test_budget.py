from __future__ import annotations

import pytest

from edgedistill.errors import UserError
from edgedistill.searching.budget import duration, parse_budget


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1.5m", 90)]
)
def test_a_budget_is_a_time(text: str, seconds: float) -> None:
    assert parse_budget(text) == seconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("30", "--budget 30: has no unit"),
        ("soon", "--budget soon: is not a time"),
        ("", "--budget : is not a time"),
        ("0s", "--budget 0s: should be more than nothing, and at most 90 days"),
        ("9999h", "--budget 9999h: should be more than nothing, and at most 90 days"),
    ],
)
def test_what_is_no_budget_is_told(text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        parse_budget(text)
    assert error.value.message == message
    assert error.value.hint == "write it as 30m, 2h, 90s or 1h30m"


def test_seconds_in_words() -> None:
    assert [duration(each) for each in (5, 60, 250, 5400, 7200)] == [
        "5 s", "1 min", "4 min 10 s", "1 h 30 min", "2 h",
    ]  # fmt: skip
