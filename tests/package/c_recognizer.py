"""The C decoder, built here, as a library for ctypes."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgedistill.records.recognizer import Guards
from edgedistill.transcribing.decoding import Floats

GLUE = Path(__file__).parents[2] / "edgedistill" / "package" / "c"
SOURCES = GLUE / "source"
FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror")


def build_program(out: Path, compiler: str = "cc", *options: str) -> Path:
    own = [GLUE / "programs" / name for name in ("transcribe.c", "arguments.c")]
    return _build(out, compiler, *options, *own)


def build_library(out: Path) -> Path:
    return _build(out, "cc", "-shared", "-fPIC")


def _build(out: Path, compiler: str, *more: str | Path) -> Path:
    files = [*more, *sorted(SOURCES.glob("*.c"))]
    command = [compiler, *FLAGS, f"-I{SOURCES}", "-o", out, *files, "-ldl", "-lm"]
    subprocess.run(command, check=True, capture_output=True)
    return out


class _Message(ctypes.Structure):
    _fields_ = (("text", ctypes.c_char * 512),)


class _Options(ctypes.Structure):
    _fields_ = (
        ("runtime", ctypes.c_char_p), ("precision", ctypes.c_char_p),
        ("library", ctypes.c_char_p), ("threads", ctypes.c_int),
    )  # fmt: skip


class _Guards(ctypes.Structure):
    _fields_ = (
        ("repeats", ctypes.c_int), ("longest", ctypes.c_int), ("no_speech", ctypes.c_double),
    )  # fmt: skip


class _Segment(ctypes.Structure):
    _fields_ = (
        ("start", ctypes.c_double), ("end", ctypes.c_double),
        ("text", ctypes.POINTER(ctypes.c_char)), ("bytes", ctypes.c_size_t),
        ("tokens", ctypes.POINTER(ctypes.c_int32)), ("count", ctypes.c_size_t),
        ("log_probability", ctypes.c_double), ("no_speech", ctypes.c_double),
        ("ended", ctypes.c_bool), ("looped", ctypes.c_bool),
    )  # fmt: skip


class _Transcript(ctypes.Structure):
    _fields_ = (
        ("text", ctypes.POINTER(ctypes.c_char)), ("bytes", ctypes.c_size_t),
        ("segments", ctypes.POINTER(_Segment)), ("count", ctypes.c_size_t),
        ("seconds", ctypes.c_double),
    )  # fmt: skip


ON_SEGMENT = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Segment), ctypes.c_void_p)
GO_ON = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p)


class _Wishes(ctypes.Structure):
    _fields_ = (
        ("guards", ctypes.POINTER(_Guards)), ("on_segment", ON_SEGMENT), ("go_on", GO_ON),
        ("own", ctypes.c_void_p),
    )  # fmt: skip


class Failed(Exception):
    """A code, and why."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code, self.why = code, why


@dataclass(frozen=True)
class Said:
    """A segment."""

    start: float
    end: float
    text: str
    tokens: tuple[int, ...]
    log_probability: float
    no_speech: float
    ended: bool
    looped: bool


@dataclass(frozen=True)
class Heard:
    """A transcript."""

    text: str
    segments: tuple[Said, ...]
    seconds: float


class InC:
    """A bundle opened by the C decoder."""

    def __init__(self, library: Any, bundle: Path, runtime: str, of_runtime: Path) -> None:
        self._library, self._handle = library, ctypes.c_void_p()
        options = _Options(runtime.encode(), None, str(of_runtime).encode(), 1)
        why = _Message()
        code = library.edr_open(
            str(bundle).encode(), ctypes.byref(options), ctypes.byref(self._handle),
            ctypes.byref(why),
        )  # fmt: skip
        if code:
            raise Failed(code, why.text.decode())

    def close(self) -> None:
        self._library.edr_close(self._handle)

    def transcribe(
        self, samples: Floats, guards: Guards | None = None, on_segment: Any = None,
        go_on: Any = None,
    ) -> Heard:  # fmt: skip
        found, why, samples = _Transcript(), _Message(), np.ascontiguousarray(samples, np.float32)
        asked = _guards(guards)
        wishes = _Wishes(
            ctypes.pointer(asked) if asked else None,
            ON_SEGMENT(lambda each, _: on_segment(_said(each.contents))) if on_segment
            else ON_SEGMENT(),
            GO_ON(lambda _: go_on()) if go_on else GO_ON(),
            None,
        )  # fmt: skip
        code = self._library.edr_transcribe(
            self._handle, samples.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(samples)),
            ctypes.byref(wishes), ctypes.byref(found), ctypes.byref(why),
        )  # fmt: skip
        if code:
            raise Failed(code, why.text.decode())
        said = tuple(_said(found.segments[at]) for at in range(found.count))
        return Heard(ctypes.string_at(found.text, found.bytes).decode(), said, found.seconds)


def _guards(guards: Guards | None) -> _Guards | None:
    if guards is None:
        return None
    return _Guards(
        -1 if guards.repeats is None else guards.repeats, guards.longest, guards.no_speech
    )


def _said(each: _Segment) -> Said:
    return Said(
        each.start, each.end, ctypes.string_at(each.text, each.bytes).decode(),
        tuple(each.tokens[: each.count]), each.log_probability, each.no_speech, each.ended,
        each.looped,
    )  # fmt: skip
