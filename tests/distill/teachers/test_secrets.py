from __future__ import annotations

import base64
import html
import json
import re
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgedistill.distill.teachers.secrets import LOOKED_AT, Secrets
from edgedistill.recipe import HttpTeacher


def secrets(monkeypatch: pytest.MonkeyPatch, value: str, **fields: object) -> Secrets:
    monkeypatch.setenv("KEY", value)
    given = {"url": "http://host/?key=${KEY}", **fields}
    return Secrets(HttpTeacher(family="http", **given))  # type: ignore[arg-type]


def within(before: int) -> Callable[[str], str]:
    return lambda value: base64.b64encode(b"k" * before + value.encode() + b"more").decode()


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "url": lambda value: quote(value, safe=""),
    "url, lower case": lambda value: re.sub(
        "%..", lambda found: found[0].lower(), quote(value, safe="")
    ),
    "form": quote_plus,
    "path": quote,
    "url twice": lambda value: quote(quote(value, safe=""), safe=""),
    "json": lambda value: json.dumps(value)[1:-1],
    "json, not ASCII": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "json twice": lambda value: json.dumps(json.dumps(value)),
    "json, all escaped": lambda value: "".join(f"\\u{ord(char):04X}" for char in value),
    "python": repr,
    "html": html.escape,
    "html, all escaped": lambda value: "".join(f"&#{ord(char)};" for char in value),
    "html, hexadecimal": lambda value: "".join(f"&#x{ord(char):X};" for char in value),
    "hexadecimal": lambda value: value.encode().hex().upper(),
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 in a URL": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    **{f"base64 after {before}": within(before) for before in range(4)},
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    "value", ["sk-0123456789", "a+b/c==?x", "p \"w'<d>&\\é", "~~~???>>>", "x" * 999 + "y"]
)
def test_a_secret_is_found_as_it_is_spelled(
    monkeypatch: pytest.MonkeyPatch, spelling: str, value: str
) -> None:
    spelled = SPELLINGS[spelling](value)
    told = secrets(monkeypatch, value).masked(f"say {spelled} end")
    assert "${KEY}" in told
    assert value not in told and spelled not in told
    assert len(told) < 60


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=8, max_size=40))
def test_no_value_is_told_as_it_is_or_as_json_has_it(value: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        one = secrets(patched, value)
    for spelled in (value, json.dumps(value)[1:-1], quote(value, safe="")):
        told = one.masked(f"say {spelled} end")
        assert "${KEY}" in told and spelled not in told


def test_half_a_secret_at_the_end_of_what_is_looked_at_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    value = "".join(map(str, range(100, 800)))
    one = secrets(monkeypatch, value)
    for before in (0, 7, LOOKED_AT - 100):
        told = one.masked("." * before + value * 20)
        assert not [start for start in range(0, 1500, 50) if value[start : start + 60] in told]


def test_looking_for_secrets_takes_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    one = secrets(monkeypatch, "\\" * 200 + "&+ " * 500 + "x")
    begun = time.monotonic()
    for text in ("\\" * 10**6, "&#0" + "0" * 10**6, "%25" * 10**6, "=" * 10**6, "QUFB" * 10**6):
        one.echo(text)
    assert time.monotonic() - begun < 2


def test_of_what_stands_in_the_recipe_short_words_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    one = secrets(
        monkeypatch,
        "sk-1",
        url="http://host/v1/unrecognized/ask",
        headers={"X-A": "no", "X-B": "a-long-one"},
    )
    assert one.echo("no unrecognized ask of a-long-one, v1") == "no *** ask of ***, v1"
