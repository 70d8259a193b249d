"""Whatever a document holds, it is read at once or refused with a line that says why."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from edgedistill.document import mapping, override, read_yaml, shown
from edgedistill.document.extent import check_plain
from edgedistill.errors import UserError

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)
MERGES = "a0: &a0 {x0: 1, y0: 2}\n" + "".join(
    f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


def told(tmp_path: Path, text: str | bytes) -> str:
    """The one line that reading `text` ends in, within a second."""
    path = tmp_path / "r.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    start = time.process_time()
    with pytest.raises(UserError) as error:
        mapping(read_yaml(path), "a recipe", str(path), "")
    assert time.process_time() - start < 1
    assert "\n" not in error.value.message
    assert error.value.message.startswith(f"{path}: ")
    return error.value.message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: !!int abc", "line 2: not valid YAML: `abc` is no int"),
        ("b: !!int ''", "line 1: not valid YAML: `` is no int"),
        ("b: !!bool abc", "line 1: not valid YAML: `abc` is no bool"),
        ("b: !!float abc", "line 1: not valid YAML: `abc` is no float"),
        ("b: 0b_", "line 1: not valid YAML: `0b_` is no int"),
        ("b: !!map [1, 2]",
         "line 1: not valid YAML: a list with the tag `!!map`; leave the tag out"),
        ("b: !!str {a: b}",
         "line 1: not valid YAML: a mapping with the tag `!!str`; leave the tag out"),
        ("b: !!timestamp ''", "line 1: not valid YAML: `` is a date; quote it where text is meant"),
        ("b: 2001-13-45",
         "line 1: not valid YAML: `2001-13-45` is a date; quote it where text is meant"),
        ("b: !!binary aGk=",
         "line 1: not valid YAML: a value with the tag `!!binary`; leave the tag out"),
        ("b: !!set {a, b}",
         "line 1: not valid YAML: a mapping with the tag `!!set`; leave the tag out"),
        ("b: !!omap [a: 1]",
         "line 1: not valid YAML: a list with the tag `!!omap`; leave the tag out"),
        ("b: !!python/object/apply:os.system [ls]",
         "line 1: not valid YAML: a list with the tag `!!python/object/apply:os.system`; leave the "
         "tag out"),
        ("b: !mine 3", "line 1: not valid YAML: a value with the tag `!mine`; leave the tag out"),
        ("b: =", "line 1: not valid YAML: `=` has a meaning in YAML; quote it"),
        ("b: <<", "line 1: not valid YAML: `<<` has a meaning in YAML; quote it"),
        (f"b: {'9' * 5000}", "line 1: not valid YAML: a number of 5000 characters"),
        (f"b: 0x{'f' * 5000}", "line 1: not valid YAML: a number of 5002 characters"),
        (f"b: 1{':10' * 5000}", "line 1: not valid YAML: a number of 15001 characters"),
        (r'b: "\ud800"', r"line 1: not valid YAML: '\ud800' is no Unicode text"),
        (r'b: "\UFFFFFFFF"', "line 1: not valid YAML: OverflowError: "),
        (f"%YAML 1.{'1' * 5000}\n---\nb: 1", "line 1: not valid YAML: ValueError: "),
        ("{" * 10_000, "line 1: not valid YAML: nested deeper than 40 levels"),
        ("a: 1\nb: " + "[" * 50 + "]" * 50,
         "line 2: not valid YAML: nested deeper than 40 levels"),
        ("- " * 10_000, "line 1: not valid YAML: nested deeper than 40 levels"),
        ("a: 1\nb: &a [*a]", "line 2: not valid YAML: holds itself"),
        ("a: &a {b: {c: *a}}", "line 1: not valid YAML: holds itself"),
        (BOMB, "line 5: not valid YAML: more than 50000 values, aliases written out"),
        (MERGES, "line 11: not valid YAML: more than 50000 values, aliases written out"),
        (f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 1000)}]",
         "line 2: not valid YAML: more than 50000 values, aliases written out"),
        ("a: &a\n  " + "[" * 25 + "]" * 25 + "\nb: " + "[" * 25 + "*a" + "]" * 25,
         "line 1: not valid YAML: nested deeper than 40 levels"),
        ("a: 1\n---\nb: 1",
         "line 2: not valid YAML: a second document begins; one is meant"),
        ("a: 1\n1: 2",
         "line 2: not valid YAML: the key `1` is read as int, not as text; quote it"),
        ("yes: 2", "line 1: not valid YAML: the key `yes` is read as bool, not as text; quote it"),
        ("? [a]\n: 2", "line 1: not valid YAML: a key is a plain word; quote text in braces"),
        ("a: 1\nb: \x01", "line 2: not valid YAML: the character '\\x01' may not stand there"),
        (b"a: \xff\xfe", "is no UTF-8 text (byte 3)"),
        ("- &a x\n- &a x", "line 2: not valid YAML: an anchor of a name that another one has"),
        ("a: *b", "line 1: not valid YAML: found undefined alias 'b'"),
        ("", "a recipe is a mapping, got nothing"),
        ("- 1", "a recipe is a mapping, got a list"),
        ("word", "a recipe is a mapping, got text"),
        ("3", "a recipe is a mapping, got a value of the kind int"),
        (b"# " + b"x" * 1_000_000, "is larger than 1 MB, too large for file"),
    ],
)  # fmt: skip
def test_what_a_document_may_not_hold_is_said_at_once(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    assert told(tmp_path, text).startswith(message)


def test_of_a_long_document_no_more_is_read_than_may_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgedistill.document.reading.MOST_ITEMS", 100)
    assert told(tmp_path, "- x\n" * 1000).startswith("line 101: not valid YAML: more than ")


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    for path, message in (
        (pipe, f"{pipe}: is no regular file; file is meant"),
        (tmp_path, f"{tmp_path}: is a folder; file is meant"),
        (tmp_path / "none.yaml", f"file not found: {tmp_path / 'none.yaml'}"),
    ):
        with pytest.raises(UserError) as error:
            read_yaml(path)
        assert error.value.message == message


def test_plain_aliases_and_merges_stay_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(
        "deep: {inner: &m {<<: &b {one: 1, two: 2}, one: 3}}\n"
        "top: {<<: *m, more: 4}\nlist: [*b, *b]\n"
    )
    assert read_yaml(path) == {
        "deep": {"inner": {"one": 3, "two": 2}},
        "top": {"one": 3, "two": 2, "more": 4},
        "list": [{"one": 1, "two": 2}] * 2,
    }


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (f"{'a.' * 5000}b=1", f"--set {'a.' * 40}...: a key of 5001 parts"),
        ("\x1b[2J=1", "--set \\x1b[2J=1: not of the form key=value"),
        (" =1", "--set  =1: not of the form key=value"),
        ("seed=!!int abc", "--set seed=!!int abc: `abc` is no int"),
        (f"seed={'9' * 5000}", f"--set seed={'9' * 75}...: a number of 5000 characters"),
        (f"seed={'[' * 5000}", f"--set seed={'[' * 75}...: nested deeper than 40 levels"),
        ("seed=&a [*a]", "--set seed=&a [*a]: holds itself"),
        (f"seed={BOMB}", "more than 50000 values, aliases written out"),
        ("list.7=1", "--set list.7=1: `7` is not a place in a list of 2"),
        (f"list.{'9' * 5000}=1", f"`{'9' * 80}...` is not a place in a list of 2"),
        ("list.²=1", "--set list.²=1: `²` is not a place in a list of 2"),
    ],
)
def test_a_setting_is_bounded_like_a_document(setting: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        override({"list": [1, 2]}, setting)
    assert message in error.value.message
    assert "\n" not in error.value.message
    assert len(error.value.message) < 500


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1: 2}, "the key 1 is no text; quote it"),
        ([float("nan")], "nan is no finite number"),
        ([10**5000], "a number of about 5000 digits is too large"),
        (["\ud800"], r"'\\ud800' is no Unicode text"),
        ([object], "<class 'object'> is no text, number, list or mapping"),
        (_nested(100), "nested deeper than 40 levels"),
        ([["x" * 100_000] * 1000] * 1000, "more than 50000 values, aliases written out"),
    ],
)
def test_what_is_not_plain_is_said(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_plain({"a": value})


def test_a_value_is_shown_without_making_text_of_all_of_it() -> None:
    bomb: Any = ["x"] * 9
    for _ in range(12):
        bomb = [bomb] * 9
    start = time.process_time()
    assert len(shown(bomb)) <= 80
    assert len(shown("x" * 10**7)) <= 80
    assert shown(10**5000) == "a number of about 5000 digits"
    assert time.process_time() - start < 0.5
