"""The measuring process: `python -m edgedistill.transcribing.worker ORDER.json ANSWER.json`."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.devices.resident import begin_memory, peak_above
from edgedistill.errors import UserError, reading
from edgedistill.records import from_json
from edgedistill.records.recognizer import Guards, Rules

if TYPE_CHECKING:
    from edgedistill.data.sound.decode import Samples
    from edgedistill.transcribing.decoding import Recognizer


@dataclass(frozen=True)
class Order:
    """What the process is to do."""

    runtime: str
    encode: str
    """The file of that program; another may lie in the same."""
    step: str
    window: int
    rate: int
    rules: Rules
    guards: Guards
    sounds: str
    """`.npz` of samples (any number,) int16."""
    threads: int
    memory: bool
    """Instead of times, how much memory a load and one window take."""


@dataclass(frozen=True)
class Answer:
    """What it found; in a run for memory that alone."""

    peak_memory_mb: float | None = None
    cold_load_ms: float = 0.0
    warm_load_ms: float = 0.0
    seconds: float = 0.0
    """That all sounds took."""
    first_token_seconds: float = 0.0
    tokens_per_second: float = 0.0
    error: str = ""
    hint: str = ""


def main(order: Path, answer: Path) -> None:
    """Do what is in the file `order`, and write an `Answer` into `answer`, in one rename."""
    asked = from_json(Order, json.loads(order.read_text()))
    try:
        with reading(asked.encode, "the file is damaged or of another kind; export it again"):
            found = _measured(asked)
    except UserError as error:
        found = Answer(error=error.message, hint=error.hint)
    scratch = answer.with_suffix(".part")
    scratch.write_text(json.dumps(vars(found)))
    os.replace(scratch, answer)


def _measured(order: Order) -> Answer:
    import numpy as np

    # All that is imported on the way, before memory is looked at.
    from edgedistill.runtimes import RUNTIMES
    from edgedistill.transcribing import long, recognizers
    from edgedistill.transcribing.timed import Timed

    _ = long, recognizers
    with np.load(order.sounds) as arrays:
        sounds = [arrays[name] for name in arrays]
    RUNTIMES[order.runtime].prepare()
    empty = begin_memory()
    cold_ms, recognizer = _loaded(order)
    if order.memory:
        _transcribed(recognizer, [sounds[0][: order.window]], order)
        return Answer(peak_memory_mb=peak_above(empty))
    _transcribed(recognizer, sounds[:1], order)  # a warm-up
    timed = Timed(recognizer)
    begin = time.perf_counter()
    _transcribed(timed, sounds, order)
    seconds = time.perf_counter() - begin
    warm_ms, _ = _loaded(order)
    return Answer(
        cold_load_ms=cold_ms, warm_load_ms=warm_ms, seconds=seconds,
        first_token_seconds=timed.first_token_seconds(len(order.rules.prompt)),
        tokens_per_second=timed.tokens_per_second,
    )  # fmt: skip


def _loaded(order: Order) -> tuple[float, Recognizer]:
    """Milliseconds that both programs took to load, and what transcribes with them."""
    from edgedistill.runtimes import RUNTIMES
    from edgedistill.transcribing.recognizers import InRuntime

    begin = time.perf_counter()
    loaded: list[Any] = [
        RUNTIMES[order.runtime].load(Path(path), threads=order.threads, program=program)
        for path, program in ((order.encode, "encode"), (order.step, "decode_step"))
    ]
    return 1000 * (time.perf_counter() - begin), InRuntime(*loaded)


def _transcribed(recognizer: Recognizer, sounds: Sequence[Samples], order: Order) -> None:
    """As `long.segments` does it; the texts are of no interest."""
    from edgedistill.data.speech.parting import parted
    from edgedistill.transcribing.decoding import greedy
    from edgedistill.transcribing.long import filled

    for sound in sounds:
        for piece in parted([sound], order.window, order.rate):
            greedy(recognizer, filled(piece, order.window), order.rules, order.guards)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
