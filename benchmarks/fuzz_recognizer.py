"""A small bundle that transcribes, of a Whisper that has learned nothing."""

from __future__ import annotations

from pathlib import Path

import torch

import edgedistill
from edgedistill.bundle import Compiled, Guards, write_recognizer
from edgedistill.devices import machine
from edgedistill.models.programs import Method
from edgedistill.models.whisper.network import Shape, Whisper
from edgedistill.models.whisper.spectrum import RATE
from edgedistill.program import export
from edgedistill.records import FileEntry, Machine, from_json
from edgedistill.records.recognizer import VOCABULARY, RecognizerRecord, Rules
from edgedistill.runtimes import RUNTIMES, Spec, size_of
from edgedistill.transcribing.vocabulary import Vocabulary

SHAPE = Shape(
    bands=80, width=16, encoder_layers=1, decoder_layers=1, encoder_heads=2, decoder_heads=2,
    encoder_inner=16, decoder_inner=16, vocabulary=40, positions=25, tokens=12,
)  # fmt: skip
START, END = 38, 39


def recognizer(folder: Path) -> Path:
    """A bundle of ONNX files that hear half a second."""
    torch.manual_seed(0)
    model, entries = Whisper(SHAPE).eval(), []
    for name, (call, signature) in model.programs().items():
        path = folder / f"mini.{name}.onnx"
        program = export(Method(model, call), signature)
        entries.append(
            FileEntry(
                runtime="onnxruntime", precision="fp32", file=path.name, program=name, operators={},
                signature=RUNTIMES["onnxruntime"].write(program, path, Spec("fp32", ())),
                bytes=size_of(path), transposes=0,
            )
        )  # fmt: skip
    pieces = [bytes([97 + number % 26]) for number in range(START)]
    named = {"<|startoftranscript|>": START, "<|endoftext|>": END}
    Vocabulary((*pieces, b"", b""), named).write(folder / VOCABULARY)
    record = RecognizerRecord(
        language="en", rate=RATE, window=SHAPE.samples,
        rules=Rules(prompt=(START,), end=END, suppressed=(START,), limit=SHAPE.tokens),
        guards=Guards(repeats=3), files=tuple(entries),
    )  # fmt: skip
    compiled = Compiled(
        name="mini", ok=True, shipped=("onnxruntime", "fp32"), recipe={}, target={},
        edgedistill=edgedistill.__version__, created="2026-01-01T00:00:00+00:00",
        machine=from_json(Machine, machine()),
    )  # fmt: skip
    return write_recognizer(folder, folder / VOCABULARY, record, compiled, folder / "bundle").path
