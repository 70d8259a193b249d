"""An endpoint's address and headers: what a recipe may say, and what may be shown of it.

A secret is named in a recipe, `${NAME}`, and read from the environment when the endpoint is asked.
What is written out where secrets usually stand is refused. What else is written out may be one that
nobody recognizes, so of an address no more than scheme, host and port is kept or shown anywhere,
and of a header no more than its name. No message here repeats what it refuses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

WHOLE = {"whole": True}
"""As the `context` of `model_dump`: the address and the headers as the recipe has them. For what
stays in memory only."""

REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""`${NAME}`; the name is its group."""
MOST_HEADERS = 64
LONGEST = 8192
"""Characters of an address, and of a header's value."""

_MORE, _HIDDEN = "...", "***"
"""Stand for a path and a query, and for a header's value."""
_CREDENTIALS = (
    "auth", "cookie", "credential", "jwt", "key", "passwd", "password", "pwd", "secret", "session",
    "signature", "token",
)  # fmt: skip
"""Whose name has one of these says who asks."""
_ADDRESS = re.compile(
    r"(?P<origin>(?P<scheme>https?)://(?:(?P<user>[^@/?#]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?P<port>:[0-9]{1,5})?)"
    r"(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?(?P<fragment>#.*)?"
)
_SCHEME = r"(?:(?:Bearer|Basic|Token|Key|Api-?Key)(?: +|\+|%20))"
_REFERENCES = rf"(?:{REFERENCE.pattern})+"
_FROM_OUTSIDE = re.compile(rf"{_SCHEME}?{_REFERENCES}", re.IGNORECASE)
_USER = re.compile(rf"(?:{_REFERENCES})?(?::(?:{_REFERENCES})?)?")
_BEARER = re.compile(r"\s*Bearer\s", re.IGNORECASE)


def check_url(url: Any) -> str:
    """Raises ValueError: no address, or one with a secret written out."""
    found = _address(url)
    if found is None:
        raise ValueError("should be an address such as https://HOST:PORT/PATH?NAME=VALUE")
    if not 0 < int((found["port"] or ":80")[1:]) < 65536:
        raise ValueError("has a port that is not within 1..65535")
    _check_references(url)
    if found["path"] == f"/{_MORE}":
        raise ValueError("is an address as reports shorten it; write it whole")
    if not _USER.fullmatch(found["user"] or ""):
        raise ValueError(
            "has a user or a password written out; name what holds them in the environment: "
            f"`{found['scheme']}://${{USER}}:${{PASSWORD}}@...`"
        )
    if found["fragment"] is not None:
        raise ValueError("has a fragment (`#...`), which is never sent; leave it out")
    for part in re.split("[&;]", found["query"] or ""):
        name, _, value = part.partition("=")
        word = says_who_asks(unquote_plus(name))
        if word and value and not from_outside(value):
            raise ValueError(
                f"has, in its query, a value written out whose name has `{word}` in it; name what "
                "holds it in the environment: `...=${NAME}`"
            )
    return str(url)


def check_headers(headers: Any) -> dict[str, str]:
    """Raises ValueError: no mapping from text to text, or one with a secret written out."""
    if not isinstance(headers, Mapping) or len(headers) > MOST_HEADERS:
        raise ValueError(f"should be a mapping of names to values, of at most {MOST_HEADERS}")
    for name, value in headers.items():
        if not (isinstance(name, str) and re.fullmatch(r"[-!#$%&'*+.^_`|~0-9A-Za-z]{1,100}", name)):
            raise ValueError("has a name that is no header's: letters, digits and `-`, at most 100")
        if not isinstance(value, str):
            raise ValueError(f"`{name}` should be text; put it in quotes")
        if len(value) > LONGEST:
            raise ValueError(f"`{name}` has more than {LONGEST} characters")
        _check_references(value, f"`{name}`: ")
        if value == _HIDDEN:
            raise ValueError(f"`{name}` is hidden, as reports do it; write its value")
        told = says_who_asks(name) or _BEARER.match(value)
        if told and value and not from_outside(value):
            raise ValueError(
                f"`{name}` says who asks, and is written out; name what holds it in the "
                f'environment: {name}: "${{NAME}}" (or "Bearer ${{NAME}}")'
            )
    return dict(headers)


def shown_url(url: str) -> str:
    """Scheme, host and port, and whether there is more."""
    found = _address(url)
    assert found is not None, "checked before"
    port = found["port"] or ""
    more = (found["path"] or "/") != "/" or found["query"] is not None
    return f"{found['scheme']}://{found['host']}{port}/{_MORE if more else ''}"


def shown_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Each header by its name, with the value where all of it comes from the environment."""
    return {name: value if from_outside(value) else _HIDDEN for name, value in headers.items()}


def from_outside(value: str) -> bool:
    """Whether all of a value, but for a word such as `Bearer`, comes from the environment."""
    return _FROM_OUTSIDE.fullmatch(value) is not None


def says_who_asks(name: str) -> str | None:
    """The word by which the name of a header, or of a value in a query, is a credential's."""
    return next((word for word in _CREDENTIALS if word in name.lower()), None)


def written_out(url: str, headers: Mapping[str, str]) -> list[str]:
    """The parts of an address behind its host, and of headers, that stand in the recipe itself."""
    found = _address(url)
    assert found is not None, "checked before"
    path, query = found["path"] or "", found["query"] or ""
    values = [part.partition("=")[2] for part in re.split("[&;]", query)]
    texts = [path, query, *path.split("/"), *values, *headers.values()]
    return [part for text in texts for part in REFERENCE.split(text)[::2]]


def _address(url: Any) -> re.Match[str] | None:
    if not isinstance(url, str) or len(url) > LONGEST:
        return None
    # What is invisible, or a backslash, is read in several ways.
    if not url.isprintable() or re.search(r"[\s\\]", url):
        return None
    return _ADDRESS.fullmatch(url)


def _check_references(text: str, where: str = "") -> None:
    if "${" in REFERENCE.sub("", text):
        raise ValueError(f"{where}what begins with `${{` is to be of the form `${{NAME}}`")
