"""What a recognizer's files take on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edgedistill.artifact import JsonValue
from edgedistill.bundle.bundle import Bundle
from edgedistill.bundle.speech import pairs
from edgedistill.errors import UserError
from edgedistill.records import as_json

if TYPE_CHECKING:
    from edgedistill.transcribing.measuring import Subject

_TOKENS_A_SECOND = 4
"""Of English that is read: two to three words a second, a token and a third each."""
_NOISE = 1000
"""Of int16: it is heard as what was no silence."""


def check_measurable(bundle: Bundle, devices: Sequence[str], plain: bool) -> None:
    """plain: whether nothing else is asked for. Raises UserError: it is to be measured elsewhere,
    or otherwise."""
    elsewhere = [name for name in devices if name != "local"]
    if elsewhere:
        raise UserError(
            f"--device {elsewhere[0]}: a recognizer is timed on this machine alone",
            "leave `--device` out; the files of the bundle run on the device as they are",
        )
    if not plain:
        raise UserError(
            f"{bundle.path}: holds a recognizer of speech, which is measured in rounds of its own",
            "leave `--protocol`, `--runs`, `--seconds` and `--benchmark-model` out",
        )


def recognizer_times(
    bundle: Bundle, threads: int, say: Callable[[str], None]
) -> list[dict[str, JsonValue]]:
    """A row for each runtime and precision, as in `speech_times.json`, with its device and file."""
    import numpy as np

    from edgedistill.transcribing.measuring import forced, measure

    told = bundle.recognizer
    seconds = told.window / told.rate
    tokens = max(1, round(_TOKENS_A_SECOND * seconds))
    subjects = [forced(each, tokens) for each in _subjects(bundle)]
    said = subjects[0].rules.limit - len(subjects[0].rules.prompt)
    say(f"each file hears {seconds:g} s of noise, and says {said} tokens, as read speech has")
    noise = np.random.default_rng(0).normal(0, _NOISE, told.window).astype(np.int16)
    rows = measure(subjects, [noise], threads,
                   tick=lambda done, all_, what: say(f"{done}/{all_} {what}"))  # fmt: skip
    return [
        {"device": "local", "how": "measured", "file": encode.file,
         "size_kb": row.bytes / 1000, **as_json(row)}
        for (encode, _), row in zip(pairs(bundle), rows, strict=True)
    ]  # fmt: skip


def _subjects(bundle: Bundle) -> list[Subject]:
    from edgedistill.transcribing.measuring import Subject

    told = bundle.recognizer
    return [
        Subject(
            model="student", runtime=encode.runtime, precision=encode.precision,
            encode=bundle.path / encode.file, step=bundle.path / step.file,
            bytes=sum({each.file: each.bytes for each in (encode, step)}.values()),
            window=told.window, rate=told.rate, rules=told.rules, guards=told.guards,
        )
        for encode, step in pairs(bundle)
    ]  # fmt: skip
