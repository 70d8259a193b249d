"""Whether the C decoder (`edgedistill/native/recognizer`) says what Python says, and how fast.

A bundle of a Whisper as it is, in float32 for LiteRT and ONNX Runtime, with the guards of what
ships. Utterances are transcribed as WAV files by Python and by `recognize`, one after the other, by
one thread; those that are longer than the window are parted. A process of C for each utterance:
what it says of its times is taken, without what opening the bundle takes.

    python -m benchmarks.c_recognizer MODEL DATA [--clips N] [--seconds N] [--work DIR]

MODEL is a Whisper's folder, as transformers saves it; DATA a parquet file with the columns `audio`
(whole files, 16 kHz) and `text`. A bundle that is found in --work is not written again.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import write
from benchmarks.int8_weights import language
from edgedistill.bundle import Bundle, Compiled, write_recognizer
from edgedistill.devices import native
from edgedistill.devices.machine import machine
from edgedistill.models.programs import Method
from edgedistill.models.whisper.folder import Kept, open_whisper
from edgedistill.program import export
from edgedistill.records import Machine
from edgedistill.records.codec import from_json
from edgedistill.records.recognizer import VOCABULARY, RecognizerRecord
from edgedistill.runtime_table import STANDARD
from edgedistill.runtimes import Spec
from edgedistill.runtimes.writing import write_file
from edgedistill.stages.recognizer import GUARDS
from edgedistill.target import RuntimeName
from edgedistill.transcribing.long import Transcript

SOURCES = Path(__file__).parents[1] / "edgedistill" / "native" / "recognizer"
RATE = 16_000
RUNTIMES: tuple[RuntimeName, ...] = ("litert", "onnxruntime")
_TIMES = re.compile(r"opened in ([\d.]+) s, ([\d.]+) s of sound in ([\d.]+) s")


def write_bundle(model: Path, seconds: float, tokens: int, work: Path) -> Bundle:
    out = work / "bundle"
    if out.exists():
        return Bundle.load(out)
    files = work / "files"
    files.mkdir(exist_ok=True)
    opened = open_whisper(model, Kept(seconds=seconds, tokens=tokens))
    programs = {
        name: export(Method(opened, call), signature)
        for name, (call, signature) in opened.programs().items()
    }
    entries = tuple(
        write_file(program, runtime, Spec("fp32", (), name="whisper"), files, name)
        for runtime in STANDARD
        for name, program in programs.items()
    )
    vocabulary, rules = language(model, tokens)
    vocabulary.write(files / VOCABULARY)
    record = RecognizerRecord(
        language="en", rate=RATE, window=round(seconds * RATE), rules=rules, guards=GUARDS,
        files=entries,
    )  # fmt: skip
    compiled = Compiled(
        name=model.name, ok=True, shipped=("litert", "fp32"), recipe={}, target={},
        edgedistill="0", created="2026-01-01T00:00:00Z", machine=from_json(Machine, machine()),
    )  # fmt: skip
    return write_recognizer(files, files / VOCABULARY, record, compiled, out)


def write_clips(data: Path, count: int, work: Path) -> list[Path]:
    import pyarrow.parquet
    import soundfile

    paths = []
    for each in pyarrow.parquet.read_table(data, columns=["audio"])["audio"].slice(0, count):
        samples, rate = soundfile.read(io.BytesIO(each.as_py()), dtype="int16")
        assert rate == RATE, rate
        paths.append(work / f"{len(paths):03}.wav")
        soundfile.write(paths[-1], samples, rate)
    return paths


def build(work: Path) -> Path:
    out = work / "recognize"
    sources = sorted(SOURCES.glob("*.c"))
    subprocess.run(["cc", "-std=c11", "-O2", "-o", out, *sources, "-ldl", "-lm"], check=True)
    return out


def in_c(program: Path, bundle: Path, runtime: str, path: Path) -> tuple[str, float, float]:
    """(what it says, seconds to open, seconds to transcribe)."""
    library = native.libraries(runtime, "x86_64")[0]
    words = ["--tokens", "--runtime", runtime, "--library", library, bundle, path]
    done = subprocess.run([program, *words], capture_output=True, text=True, check=True)
    opened, _, seconds = map(float, _TIMES.findall(done.stderr)[0])
    return done.stdout, opened, seconds


def printed(found: Transcript) -> str:
    """As C prints it."""
    lines = [
        f"{each.start:.6f} {each.end:.6f}" + "".join(f" {token}" for token in each.tokens)
        for each in found.segments
    ]
    return "".join(f"{line}\n" for line in (found.text, *lines))


def rows(bundle: Bundle, program: Path, clips: list[Path]) -> Iterator[dict[str, Any]]:
    for runtime in STANDARD:
        bundle.transcribe(clips[0], runtime=runtime)  # opens it
        equal, took, opening = [], [], []
        tokens = pieces = 0
        sound = 0.0
        for path in clips:
            begin = time.perf_counter()
            wanted = bundle.transcribe(path, runtime=runtime)
            python = time.perf_counter() - begin
            said, opened, c = in_c(program, bundle.path, runtime, path)
            equal.append(said == printed(wanted))
            took.append((python, c))
            opening.append(opened)
            sound += wanted.seconds
            tokens += sum(len(each.tokens) for each in wanted.segments)
            pieces += len(wanted.segments)
            print(runtime, path.name, equal[-1], f"{python:.2f} {c:.2f}", wanted.text, flush=True)
        in_python, by_c = (sum(each) for each in zip(*took, strict=True))
        yield {
            "name": runtime, "runtime": runtime, "clips": len(clips), "equal": sum(equal),
            "pieces": pieces, "tokens": tokens, "sound_s": sound,
            "python_s": in_python, "c_s": by_c, "python_samples": [each[0] for each in took],
            "c_samples": [each[1] for each in took], "open_s": float(np.median(opening)),
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = options.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        bundle = write_bundle(options.model, options.seconds, options.tokens, work)
        found = list(rows(bundle, build(work), write_clips(options.data, options.clips, work)))
    write(
        "c_recognizer", found, seeds=[0], model=options.model.name, clips=options.clips,
        data=options.data.name, seconds=options.seconds, tokens=options.tokens, threads=1,
    )  # fmt: skip


if __name__ == "__main__":
    main()
