"""What a package's README says of its model: filled in where the page of a platform has `{{...}}`.

A paragraph that begins with `[picture] ` or the like, several with `|` between, is kept in the
packages that this is true of: a kind, a runtime, `counted`, `listening`, `answers` (not speech).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.package.app import APP, App, AppSpoken
from edgedistill.package.platforms import RuntimeSize

if TYPE_CHECKING:
    from edgedistill.package.contents import Contents

Sizes = dict[str, int | None]
_ONLY = re.compile(r"\[(\w+(?:\|\w+)*)\] ")
_NAMES = {"litert": "LiteRT", "onnxruntime": "ONNX Runtime", "coreml": "Core ML"}
_LICENCES = {
    "litert": "LiteRT is under the Apache License 2.0",
    "onnxruntime": "ONNX Runtime is under the MIT License",
    "coreml": "Core ML is part of Apple's systems",
}
_RESIZED = {
    "crop": "the largest part in its middle that has these proportions is scaled",
    "fit": "all of it is scaled and put in the middle of black",
    "stretch": "all of it is scaled, out of its proportions",
}
_HEARD = {
    "end": "its end",
    "middle": "its middle",
    "spoken": "the part in which most is said",
}
_SHOWN = 5
"""Labels that a page names."""


def fill(page: Path, contents: Contents, sizes: Sizes, runtime: RuntimeSize) -> None:
    """Put in what only this package knows, and leave out what is not of it."""
    text = _fitting(page.read_text(encoding="utf-8"), _true_of(contents.app))
    for name, value in _words(contents, sizes, runtime).items():
        text = text.replace("{{" + name + "}}", value)
    page.write_text(text, encoding="utf-8")


def _true_of(app: App) -> set[str]:
    found = {app.kind, app.runtime, "speech" if app.kind == "speech" else "answers"}
    if app.counting is not None:
        found.add("counted")
    if app.listening is not None:
        found.add("listening")
    return found


def _fitting(text: str, true: set[str]) -> str:
    kept = []
    for paragraph in text.split("\n\n"):
        told = _ONLY.match(paragraph)
        if told is None:
            kept.append(paragraph)
        elif true & {*told[1].split("|")}:
            kept.append(paragraph[told.end() :])
    return "\n\n".join(kept).rstrip() + "\n"


def _words(contents: Contents, sizes: Sizes, runtime: RuntimeSize) -> dict[str, str]:
    app = contents.app
    return {
        "name": app.name,
        "what": _what(app),
        "runtime": app.runtime,
        "runtime_name": _NAMES[app.runtime],
        "precision": app.precision,
        "input": _input(app),
        "unsure": _unsure(app),
        "terms": f"The code is under the Apache License 2.0. {_LICENCES[app.runtime]}. Of the "
        "model's weights the licence is the one that its teacher and its training data give, "
        "which edgedistill does not know",
        "sizes": _table(app, sizes, runtime),
        "golden": _golden(app),
    }


def _what(app: App) -> str:
    """A sentence on what the model does."""
    if app.transcription is not None:
        return f"Writes down what is said (language: `{app.transcription.language}`)."
    of = "a picture" if app.kind == "picture" else "a recording"
    if app.listening is not None:
        return (
            f"Hears keywords in a stream of sound: {_listed(list(app.listening.thresholds))}; and "
            f"tells which label a recording has: {_listed(app.labels)}."
        )
    return {
        "softmax": f"Tells which label {of} has, of {len(app.labels)}: {_listed(app.labels)}.",
        "sigmoid": f"Tells which labels {of} has, of {len(app.labels)}: {_listed(app.labels)}.",
        "none": f"Measures of {of}: {_listed(app.labels)}.",
    }[app.activation]


def _listed(labels: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(f"`{each}`" for each in labels[:_SHOWN])
    return shown + (", …" if len(labels) > _SHOWN else "")


def _input(app: App) -> str:
    """What it is to be given, and what becomes of that."""
    told = app.preprocessing
    if told is not None:
        height, width = told.image_size
        return (
            f"A picture of any size, upright, becomes {width} x {height} pixels, "
            f"{'grey' if told.channels == 1 else 'RGB'}: {_RESIZED[told.resize.how]}, bilinearly "
            "and averaging where it shrinks, as Pillow does it. Do not scale it yourself before: "
            "that is not the same. What is transparent is laid over white."
        )
    sound, stream, speech = app.sound, app.listening, app.transcription
    rates = [each.rate for each in (sound, stream, speech) if each is not None]
    parts = [
        f"Sound of one channel at {rates[0]} samples a second. The package resamples nothing: what "
        "was recorded at another rate has to be brought to this one before, or it is heard too "
        "fast or too slow."
    ]
    if sound is not None:
        parts.append(
            f"A recording may have any length; {sound.samples / sound.rate:.3g} s of it are heard, "
            f"{_HEARD[sound.cut]}, and a shorter one is filled up with silence."
        )
    if stream is not None:
        parts.append(
            f"A stream is handed over in pieces of any length, of which {stream.hop} samples "
            f"({1000 * stream.hop / stream.rate:.3g} ms) are heard at a time."
        )
    if speech is not None:
        parts.append(
            f"It may have any length: it is cut where it is quiet, into at most "
            f"{speech.window / speech.rate:.3g} s at once."
        )
    return " ".join(parts)


def _unsure(app: App) -> str:
    """What `route` of an answer means."""
    if app.activation == "none":
        return "`route` is always false, as measures have no confidence."
    if app.routing is None:
        return "`route` is always false: this model was given no threshold of its confidence."
    return (
        f"`route` is true where the confidence is below {app.routing.threshold:.3g}: the answer is "
        "better had from the large model that this one was made of, its *teacher*, where your app "
        "can ask that."
    )


def _table(app: App, sizes: Sizes, runtime: RuntimeSize) -> str:
    rows = [
        ("model", sizes["model"], ", ".join(sorted({each.file for each in app.files}))),
        ("runtime", sizes["runtime"], runtime.what),
        ("code", sizes["glue"], f"with `{APP}`"),
        ("golden data", sizes["golden"], "for the self-test; an app runs without"),
    ]
    table = ["| what | size | |", "| --- | ---: | --- |"]
    return "\n".join(
        table + [f"| {name} | {_size(size)} | {words} |" for name, size, words in rows]
    )


def _golden(app: App) -> str:
    golden = app.golden
    if isinstance(golden, AppSpoken):
        what = (
            "sounds that are made up, as the bundle carries no golden utterance (one that is "
            "compiled anew does)"
            if golden.made_up
            else "recordings of the validation set"
        )
        most = f"{golden.edits:.0%} of all these" if golden.edits else "none"
        return (
            f"{len(golden.utterances)} of {what}, with the tokens that Python decodes of each, of "
            f"which {most} may be put in, left out or changed"
        )
    return (
        f"{golden.samples} inputs and what the file gives for them; {golden.share:.0%} of the "
        f"values may be no further off than {golden.tolerance:.3g}, in the file's own numbers"
    )


def _size(size: int | None) -> str:
    if size is None:
        return "not known"
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} KB"
