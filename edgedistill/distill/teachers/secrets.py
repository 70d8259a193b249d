"""What an HTTP teacher's recipe names, `${NAME}`: filled in from the environment, and taken out of
every message again, however an endpoint spells what it was sent."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator
from urllib.parse import quote

import httpx

from edgedistill.distill.teachers import sending
from edgedistill.errors import UserError
from edgedistill.families.endpoint import REFERENCE, shown_url, written_out
from edgedistill.recipe import HttpTeacher

LOOKED_AT = 16 << 10
"""Characters in which secrets are looked for; none after them is shown."""
_LEAST_WRITTEN_OUT = 8
"""Characters that stand in a recipe and are hidden: fewer are a word that stands anywhere."""
_LEAST_BASE64 = 6
"""Characters by which a secret is known within something longer in base64."""
_SPELLED = 64
"""Characters by which a secret is known that is spelled in another way."""
_WIDEST = 12
"""Characters that one byte of a secret is spelled with, at most."""


class Secrets:
    """The address and the headers to send.

    Raises UserError, which shows no value: the environment lacks a name, or what it has cannot be
    sent.
    """

    def __init__(self, config: HttpTeacher) -> None:
        self._values: dict[str, str] = {}
        self.headers = self._headers(config)
        self.url = self._url(config.url)
        self._secret = list(self._to_hide())
        longest = max((len(os.fsencode(value)) for value in self._values.values()), default=0)
        self._tail = _WIDEST * longest
        texts = sorted(set(written_out(config.url, config.headers)), key=len, reverse=True)
        self._written_out = [_spelled(text) for text in texts if len(text) >= _LEAST_WRITTEN_OUT]

    def masked(self, text: str) -> str:
        """`text` without what comes from the environment. To be cut afterwards only: half of a
        secret is no longer found."""
        shown = text[:LOOKED_AT]
        for pattern, name in self._secret:
            # Not as a replacement's text, in which a backslash is no backslash.
            shown = name.join(pattern.split(shown))
        return shown if len(text) <= LOOKED_AT else shown[: max(0, len(shown) - self._tail)]

    def echo(self, text: str) -> str:
        """An endpoint's own words, without what it was sent."""
        shown = self.masked(text)
        for pattern in self._written_out:
            shown = pattern.sub("***", shown)
        return shown

    def _headers(self, config: HttpTeacher) -> httpx.Headers:
        kind = sending.media_type(config.send)
        headers = httpx.Headers({"Content-Type": kind, "Accept-Encoding": "identity"})
        for header, template in config.headers.items():
            value = "".join(self._parts(template, f"header `{header}`"))
            if not re.fullmatch(r"([!-~]+([ \t]+[!-~]+)*)?", value):
                raise UserError(
                    f"teacher: header `{header}` has a character that HTTP does not allow there",
                    "is there a line end or a space at the end of what it is made of?",
                )
            headers[header] = value
        return headers

    def _url(self, template: str) -> httpx.URL:
        parts = list(self._parts(template, "`url`"))
        parts[1::2] = [quote(os.fsencode(value), safe="") for value in parts[1::2]]
        try:
            return httpx.URL("".join(parts))
        except httpx.InvalidURL:  # its words may hold a part of it
            raise UserError(
                f"teacher: `url` is not a URL: {shown_url(template)}",
                "mend its host, or shorten what the environment has for it",
            ) from None

    def _parts(self, template: str, where: str) -> Iterator[str]:
        """What stands before the first `${NAME}`, its value, what stands behind it, and so on."""
        for number, part in enumerate(REFERENCE.split(template)):
            if number % 2 == 0:
                yield part
                continue
            value = os.environ.get(part, "")
            if not value:
                raise UserError(
                    f"teacher: {where} needs the environment variable `{part}`, which is not set",
                    f"export {part}=...",
                )
            self._values[part] = value
            yield value

    def _to_hide(self) -> Iterator[tuple[re.Pattern[str], str]]:
        """What to look for, and what stands in its place; the longest first, since one may be a
        part of another."""
        if self.url.userinfo:  # is sent as one
            yield _spelled(f"{self.url.username}:{self.url.password}"), "***"
        for name, value in sorted(self._values.items(), key=lambda item: -len(item[1])):
            yield _spelled(value), f"${{{name}}}"


def _spelled(secret: str) -> re.Pattern[str]:
    """`secret` as it is; as URLs, JSON or HTML write any of its characters; in hexadecimal digits;
    in base64, alone or within something longer. Has no groups."""
    content = os.fsencode(secret)
    start = "".join(map(_character, secret[:_SPELLED]))
    rest = r"\S*" if len(secret) > _SPELLED else ""
    forms = [re.escape(secret), start + rest, f"(?i:{content.hex()})"]
    for before in range(3):
        text = base64.b64encode(bytes(before) + content).decode()
        # Those at both ends hold bits of what stands before and behind as well.
        inner = text[-(-8 * before // 6) : 8 * (before + len(content)) // 6]
        if len(inner) >= _LEAST_BASE64:
            either = re.escape(inner).replace(r"\+", "[+-]").replace("/", "[/_]")
            forms.append(f"[A-Za-z0-9+/_-]?{either}[A-Za-z0-9+/_-]?=*" if before else f"{either}=*")
    return re.compile("|".join(forms))


def _character(char: str) -> str:
    named = {" ": r"\+", '"': "&quot;", "&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&apos;"}
    bytes_ = "".join(f"%(?:25)?{byte:02x}" for byte in os.fsencode(char))
    escapes = {json.dumps(char)[1:-1], f"\\x{ord(char):02x}", f"\\u{ord(char):04x}"} - {char}
    forms = [
        rf"\\{{0,4}}{re.escape(char)}",
        *(rf"\\{{1,4}}(?i:{re.escape(each[1:])})" for each in sorted(escapes)),
        f"(?i:{bytes_})",
        f"(?i:&#(?:0*{ord(char)}|x0*{ord(char):x});)",
        *([named[char]] if char in named else []),
    ]
    return f"(?:{'|'.join(forms)})"
