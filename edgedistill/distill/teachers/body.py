"""The body of an endpoint's response, bounded: however it is sent, and however far it unfolds."""

from __future__ import annotations

import zlib
from contextlib import aclosing

import httpx

from edgedistill.errors import UserError

MOST = 2 << 20
"""Bytes that an answer may have, unfolded; more by `MOST_PER_CLASS` for each class."""
MOST_PER_CLASS = 256
MOST_OF_AN_ERROR = 80 << 10
"""Bytes of what is said beside an error: more than is searched for secrets (`secrets.LOOKED_AT`,
in characters of up to 4 bytes), so that none is cut where its half would be shown."""

_FOLDED = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""The encodings that are read though none is asked for, and zlib's `wbits` for them. Others may
unfold without bound."""


def most(classes: int) -> int:
    """Bytes that an answer may have."""
    return MOST + MOST_PER_CLASS * classes


async def whole(response: httpx.Response, most: int) -> bytes:
    """All of a body.

    Raises UserError: it has more than `most` bytes, or is encoded in another way than gzip or
    deflate. Raises httpx.DecodingError: it is broken.
    """
    encoding = _encoding(response)
    if encoding not in ("identity", *_FOLDED):
        raise UserError(
            f"answers in the encoding {encoding[:60]!r}; read are gzip and deflate",
            "let the endpoint answer plainly: it is asked to, by `Accept-Encoding: identity`",
        )
    content = await _sent(response, most + 1)
    if encoding != "identity" and len(content) <= most:
        content = _unfolded(content, _FOLDED[encoding], most + 1)
    if len(content) > most:
        raise UserError(
            f"answers with more than {most / 1e6:.1f} MB",
            "let the endpoint answer with the classes' numbers alone",
        )
    return content


async def beginning(response: httpx.Response) -> bytes:
    """What the body beside an error begins with; nothing where it cannot be read."""
    encoding, content = _encoding(response), await _sent(response, MOST_OF_AN_ERROR)
    if encoding == "identity":
        return content
    try:
        return zlib.decompressobj(_FOLDED[encoding]).decompress(content, MOST_OF_AN_ERROR)
    except (KeyError, zlib.error):
        return b""


def _encoding(response: httpx.Response) -> str:
    return response.headers.get("Content-Encoding", "").strip().lower() or "identity"


async def _sent(response: httpx.Response, most: int) -> bytes:
    """The first `most` bytes as they were sent."""
    content = bytearray()
    async with aclosing(response.aiter_raw()) as chunks:  # type: ignore[type-var]
        async for chunk in chunks:
            content += chunk[: most - len(content)]
            if len(content) == most:
                break
    return bytes(content)


def _unfolded(content: bytes, wbits: int, most: int) -> bytes:
    """At most the first `most` bytes. Raises httpx.DecodingError: broken, or cut."""
    # Some servers send deflate without the two bytes that zlib puts before it (RFC 1950).
    if wbits == 15 and content and (content[0] & 15 != 8 or int.from_bytes(content[:2]) % 31):
        wbits = -15
    decoder = zlib.decompressobj(wbits)
    try:
        found = decoder.decompress(content, most)
    except zlib.error as error:
        raise httpx.DecodingError(f"the compressed body is broken: {error}") from None
    if not decoder.eof and len(found) < most:
        raise httpx.DecodingError("the compressed body is cut")
    return found
