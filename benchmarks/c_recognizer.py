"""Whether the decoder in C (`edgedistill/package/c`) says what Python says, and how fast.

A bundle with a recognizer: utterances are transcribed as WAV files by Python and by the program
`transcribe`, one after the other, by one thread, with the int8 files for LiteRT and ONNX Runtime;
those that are longer than the window are parted. A process of C for each utterance: what it says of
its times is taken, without what opening the bundle takes. Then the shortest ones on an arm64
processor under emulation, where times mean nothing, with a file in float too.

    python -m benchmarks.c_recognizer BUNDLE DATA [--clips N] [--emulated N]

BUNDLE is a folder that `edgedistill compile` wrote; DATA a parquet file with a column `audio` of
whole files, 16 kHz. What is emulated needs `edgedistill device setup emulator`.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import write
from edgedistill.bundle import Bundle
from edgedistill.devices import native, private
from edgedistill.devices.emulator.cpus import CPUS
from edgedistill.devices.emulator.setup import ROOTS
from edgedistill.devices.native.build import compiler_of
from edgedistill.transcribing.long import Transcript

GLUE = Path(__file__).parents[1] / "edgedistill" / "package" / "c"
RATE = 16_000
CPU = "cortex-a76"
INT8 = (("litert", "int8"), ("onnxruntime", "int8"))
EMULATED = (*INT8, ("onnxruntime", "fp32"))
PROGRAM = ("transcribe.c", "arguments.c")
_TIMES = re.compile(r"opened in ([\d.]+) s, ([\d.]+) s of sound in ([\d.]+) s")


def write_clips(data: Path, count: int, few: int, work: Path) -> tuple[list[Path], list[Path]]:
    """The first utterances of a table, and the shortest of all, as files."""
    import pyarrow.parquet
    import soundfile

    sounds = []
    for each in pyarrow.parquet.read_table(data, columns=["audio"])["audio"]:
        samples, rate = soundfile.read(io.BytesIO(each.as_py()), dtype="int16")
        assert rate == RATE, rate
        sounds.append(samples)
    shortest = sorted(range(len(sounds)), key=lambda at: len(sounds[at]))[:few]
    paths = {at: work / f"{at:03}.wav" for at in (*range(min(count, len(sounds))), *shortest)}
    for at, path in paths.items():
        soundfile.write(path, sounds[at], RATE)
    return [paths[at] for at in range(min(count, len(sounds)))], [paths[at] for at in shortest]


def build(work: Path, isa: str) -> Path:
    out = work / f"transcribe-{isa}"
    sources = [*(GLUE / "source").glob("*.c"), *(GLUE / "programs" / name for name in PROGRAM)]
    compiler, _ = compiler_of(isa)
    flags = ["-std=c11", "-O2", f"-I{GLUE / 'source'}"]
    subprocess.run([compiler, *flags, "-o", out, *sources, "-ldl", "-lm"], check=True)
    return out


def here(work: Path, runtime: str) -> list[str | Path]:
    """The words that start the program on this machine."""
    return [build(work, "x86_64"), "--library", native.libraries(runtime, "x86_64")[0]]


def under_emulation(work: Path, runtime: str) -> list[str | Path]:
    """The same on the emulated processor."""
    folder = work / f"libraries-{runtime}"
    folder.mkdir(exist_ok=True)
    libraries = native.libraries(runtime, "aarch64")
    for each in libraries:
        (folder / each.name).unlink(missing_ok=True)
        (folder / each.name).symlink_to(each.absolute())
    loader = native.launch("aarch64", str(folder))[:-1]
    root = private.folder().absolute() / ROOTS / CPU
    emulator = ["qemu-aarch64", "-cpu", CPUS[CPU].qemu, "-L", str(root), *loader]
    return [*emulator, build(work, "aarch64"), "--library", folder / libraries[0].name]


def in_c(
    start: list[str | Path], bundle: Path, file: tuple[str, str], path: Path
) -> tuple[str, float, float]:
    """(what it says, seconds to open, seconds to transcribe)."""
    asked = ["--tokens", "--runtime", file[0], "--precision", file[1], "--folder", bundle, path]
    done = subprocess.run([*start, *asked], capture_output=True, text=True, check=True)
    opened, _, seconds = map(float, _TIMES.findall(done.stderr)[0])
    return done.stdout, opened, seconds


def printed(found: Transcript) -> str:
    """As C prints it."""
    lines = [
        f"{each.start:.6f} {each.end:.6f}" + "".join(f" {token}" for token in each.tokens)
        for each in found.segments
    ]
    return "".join(f"{line}\n" for line in (found.text, *lines))


def row(
    bundle: Bundle, file: tuple[str, str], start: list[str | Path], clips: list[Path], where: str
) -> dict[str, Any]:
    runtime, precision = file
    bundle.transcribe(clips[0], runtime=runtime, precision=precision)  # opens it
    equal, took, opening = [], [], []
    tokens = pieces = 0
    sound = 0.0
    for path in clips:
        begin = time.perf_counter()
        wanted = bundle.transcribe(path, runtime=runtime, precision=precision)
        python = time.perf_counter() - begin
        said, opened, c = in_c(start, bundle.path, file, path)
        equal.append(said == printed(wanted))
        took.append((python, c))
        opening.append(opened)
        sound += wanted.seconds
        tokens += sum(len(each.tokens) for each in wanted.segments)
        pieces += len(wanted.segments)
        print(*file, where, path.name, equal[-1], f"{python:.2f} {c:.2f}", wanted.text, flush=True)
    return {
        "name": f"{runtime} {precision}, {where}", "runtime": runtime, "precision": precision,
        "where": where, "clips": len(clips), "equal": sum(equal), "pieces": pieces,
        "tokens": tokens, "sound_s": sound, "took": took, "open_s": float(np.median(opening)),
    }  # fmt: skip


def timed(found: dict[str, Any]) -> dict[str, Any]:
    """A row of this machine, with what both took."""
    took = found.pop("took")
    python, c = zip(*took, strict=True)
    return {
        **found, "python_s": sum(python), "c_s": sum(c), "python_samples": list(python),
        "c_samples": list(c),
    }  # fmt: skip


def untimed(found: dict[str, Any]) -> dict[str, Any]:
    """A row of what is emulated."""
    return {key: value for key, value in found.items() if key not in ("took", "open_s")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])  # type: ignore[union-attr]
    parser.add_argument("bundle", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--emulated", type=int, default=2)
    options = parser.parse_args()
    bundle = Bundle.load(options.bundle)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        clips, shortest = write_clips(options.data, options.clips, options.emulated, work)
        found = [timed(row(bundle, file, here(work, file[0]), clips, "x86-64")) for file in INT8]
        if shortest:
            found += [
                untimed(
                    row(bundle, file, under_emulation(work, file[0]), shortest, f"emulated {CPU}")
                )
                for file in EMULATED
            ]
    write(
        "c_recognizer", found, seeds=[0], bundle=bundle.digest, window=bundle.recognizer.window,
        data=options.data.name, clips=options.clips, emulated=options.emulated, threads=1,
    )  # fmt: skip


if __name__ == "__main__":
    main()
