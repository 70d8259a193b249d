"""A bundle of the tiny Whisper, and sound for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sound_models import chirp
from whisper_models import COUNT, RULES, SHAPE, folded, save, whisper

from edgedistill.bundle import Bundle, Compiled, write_recognizer
from edgedistill.models.whisper.spectrum import RATE
from edgedistill.records import Machine
from edgedistill.records.recognizer import VOCABULARY, Guards, RecognizerRecord, Rules
from edgedistill.runtimes import Spec
from edgedistill.runtimes.writing import write_file
from edgedistill.target import RuntimeName
from edgedistill.transcribing.decoding import Floats
from edgedistill.transcribing.vocabulary import read_vocabulary

MACHINE = Machine(
    processor="none", isa="x86_64", flags=(), cores=1, memory_gb=1.0, system="none", versions={}
)


def write_files(
    runtimes: tuple[RuntimeName, ...],
    folder: Path,
    rules: Rules = RULES,
    guards: Guards | None = None,
    language: str = "en",
) -> RecognizerRecord:
    """Its files and tokens, and what they are."""
    model = whisper()
    folder.mkdir()
    read_vocabulary(save(folder / "saved", model), COUNT).write(folder / VOCABULARY)
    programs = folded(model)
    entries = [
        write_file(program, runtime, Spec("fp32", (), name="tiny"), folder, name)
        for runtime in runtimes
        for name, program in programs.items()
    ]
    return RecognizerRecord(
        language=language, rate=RATE, window=SHAPE.samples, rules=rules,
        guards=guards or Guards(), files=tuple(entries),
    )  # fmt: skip


def bundle_of(record: RecognizerRecord, files: Path, out: Path) -> Bundle:
    """Hand them over."""
    compiled = Compiled(
        name="tiny", ok=True, shipped=(record.files[0].runtime, "fp32"), recipe={}, target={},
        edgedistill="0", created="2026-01-01T00:00:00Z", machine=MACHINE,
    )  # fmt: skip
    return write_recognizer(files, files / VOCABULARY, record, compiled, out)


def sound(length: int, seed: int, quiet: tuple[int, int] = (0, 0)) -> Floats:
    """Chirps of half a second each, with nothing in a part of them."""
    part = RATE // 2
    chirps = [chirp(part, 1000 * seed + each, RATE) for each in range(-(-length // part))]
    found: Floats = np.concatenate(chirps)[:length]
    found[slice(*quiet)] = 0
    return found


SOUNDS = {
    "a window": sound(16_000, 1),
    "a little more": sound(16_001, 2),
    "less": sound(5_000, 3),
    "a sample": sound(1, 4),
    "two pieces": sound(24_000, 5),
    "long": sound(163_211, 6),
    "long, with silence": sound(120_000, 7, (20_000, 90_000)),
    "silence": np.zeros(40_000, np.float32),
    "too loud": 3 * sound(30_000, 8),
}
"""By what is odd about them."""
