"""A model with all that an app needs to ask it: NumPy and one runtime."""

from __future__ import annotations

from pathlib import Path

from .app import Description
from .classifier import Answer, Classifier
from .listening import Detection
from .selftest import Check, SelfTestFailed
from .speech import Recognizer, Segment, Transcript

__all__ = [
    "Answer", "Check", "Classifier", "Detection", "Recognizer", "Segment", "SelfTestFailed",
    "Transcript", "open",
]  # fmt: skip

DATA = Path(__file__).parent / "data"


def open(data: str | Path = DATA, threads: int = 1) -> Classifier | Recognizer:
    """The model: of pictures and sound a `Classifier`, of speech a `Recognizer`. The runtime is
    imported here.

    data: a folder with `app.json` and what it names; by default this package's own. threads: of
    the runtime. Raises ValueError: `app.json` is of a later format.
    """
    app = Description.read(Path(data))
    kind = Recognizer if app.kind == "speech" else Classifier
    return kind(app, threads)
