"""How valid inputs are changed for fuzzing."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as some

NASTY = [
    b"", b"\0", b"\xff\xfe", b"\x80", b"{", b"[" * 5000, b"&a [*a]", b"<<: *a", b"!!python/name:os",
    b"!!int x", b"9" * 5000, b"1e999", b"-1", b".nan", b"2001-13-45", b"18446744073709551616",
    b"../../x", b"/dev/zero", b"~nobody/x", b"\x1b[2J", b"'", b'"', b": :", b"\n- ", b"\t", b"\r\n",
    b"${HOME}", b"%s%n", "\u202e".encode(), b"null", b"true",
]  # fmt: skip
VALUES = [
    None, True, -1, 0, 1, 2**31, 2**63, 10**30, 1.5, -0.0, float("nan"), float("inf"), "", "x",
    "../x", "/etc/passwd", "\x1b[31m", [], [1], [[]], {}, {"file": 1}, [{}],
]  # fmt: skip


def mutated(valid: list[bytes]) -> some.SearchStrategy[bytes]:
    """A valid input after a few changes of its bytes."""

    @some.composite
    def changed(draw: Any) -> bytes:
        content = draw(some.sampled_from(valid))
        for _ in range(draw(some.integers(1, 4))):
            start = int(draw(some.floats(0, 1)) * len(content))
            end = min(len(content), start + draw(some.sampled_from([0, 1, 1, 2, 4, 8, 30, 200])))
            new = draw(
                some.one_of(
                    some.sampled_from(NASTY), some.binary(max_size=8),
                    some.just(content[start:end] * 2), some.just(content[end:start]),
                )
            )  # fmt: skip
            content = content[:start] + new + content[end:]
        return content

    return changed()


def other_values(valid: Any) -> some.SearchStrategy[bytes]:
    """A JSON document with a few of its values exchanged for others, or taken out."""

    @some.composite
    def changed(draw: Any) -> bytes:
        document = json.loads(json.dumps(valid))
        for _ in range(draw(some.integers(1, 3))):
            holder, key = draw(some.sampled_from(_places(document)))
            if isinstance(holder, dict) and draw(some.integers(0, 4)) == 0:
                del holder[key]
            else:
                holder[key] = copy.deepcopy(draw(some.sampled_from(VALUES)))
        return json.dumps(document).encode()

    return changed()


def _places(value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, dict | list):
        return []
    keys = list(value) if isinstance(value, dict) else range(len(value))
    here = [(value, key) for key in keys]
    return here + [place for _, key in here for place in _places(value[key])]
