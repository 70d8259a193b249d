"""How pages are rendered: self-contained, what comes from a report escaped."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.report.contract import limit_of, reached_by
from edgedistill.report.numbers import milliseconds, number

if TYPE_CHECKING:
    import jinja2


def environment_of_pages() -> jinja2.Environment:
    """The templates beside this file, and the filters that all of them use."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(number=number, ms=milliseconds, limit=limit_of, reached=reached_by)
    return environment


def sound_uri(sound: bytes, kind: str) -> str:
    """A sound file within a page; kind: `wav` or `flac`."""
    return f"data:audio/{kind};base64,{base64.b64encode(sound).decode()}"
