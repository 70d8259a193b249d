"""Write the student's programs as the files that the target's runtimes read."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgedistill import program_file
from edgedistill.artifact import Artifact
from edgedistill.devices import machine
from edgedistill.records import DataRecord, Executed, ExportRecord, FileEntry, from_json
from edgedistill.runtimes import RUNTIMES, Spec, size_of
from edgedistill.scratch import scratch_folder
from edgedistill.stages import Context
from edgedistill.target import Frozen, Precision, RuntimeName

if TYPE_CHECKING:
    from edgedistill.program import Program


class Config(Frozen):
    name: str
    """The recipe's: files are called after it."""
    runtimes: tuple[RuntimeName, ...]
    precisions: tuple[Precision, ...]
    io: Literal["float", "integer"]
    """Of int8 files."""
    processor: str
    """Digest of this processor's instructions: on another, other operators run in float."""


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> dict[str, Any]:
    from edgedistill.runtimes.program import float_layers

    begin = time.monotonic()
    labels = DataRecord.read(inputs["data"]).classes
    folder = context.scratch / "files"
    folder.mkdir(exist_ok=True)
    stored = inputs["quantize"]
    programs = {kind: program_file.load(stored.file(f"{kind}.program")) for kind in _kinds(config)}
    in_float = tuple(float_layers(programs["int8"])) if "int8" in programs else ()
    warnings = [f"left in float in int8 files: {', '.join(in_float)}"] if in_float else []
    entries: list[FileEntry] = []
    total = len(config.runtimes) * len(config.precisions)
    for runtime in config.runtimes:
        for precision in config.precisions:
            program = programs["int8" if precision == "int8" else "float"]
            spec = Spec(precision, labels, config.io if precision == "int8" else "float",
                        config.name)  # fmt: skip
            entry = _write(runtime, program, spec, folder)
            entries.append(entry)
            warnings += [*_fallen(entry), *_transposed(entry)]
            note = f"{entry.file}, {entry.bytes / 1000:.1f} KB"
            context.reporter.tick("export", len(entries), total, note)
    for text in warnings:
        context.reporter.say(f"export: {text}")
    ExportRecord(tuple(entries), labels, in_float).write(context.scratch)
    sizes = {entry.file: entry.bytes for entry in entries}
    return {"bytes": sizes, "warnings": warnings, "seconds": time.monotonic() - begin}


def rehearse(
    config: Config,
    programs: dict[str, Program],
    labels: tuple[str, ...],
    tick: Callable[[int, int, str], None] = lambda *_: None,
) -> None:
    """Write a student that has learned nothing yet for every runtime, in float and as int8, and
    throw the files away.

    programs: `float`, and `int8` where there is one; tick: gets how many files are done, of how
    many, and which one comes next.
    Raises UserError: a runtime's converter does not take it.
    """
    kinds = [kind for kind in programs if kind in _kinds(config)]
    total = len(config.runtimes) * len(kinds)
    with scratch_folder() as folder:
        for done, (runtime, kind) in enumerate(itertools.product(config.runtimes, kinds)):
            precision: Precision = "int8" if kind == "int8" else "fp32"
            tick(done, total, f"{runtime}, {precision}")
            writer = RUNTIMES[runtime]
            path = folder / f"{config.name}.{precision}{writer.suffix}"
            io = config.io if kind == "int8" else "float"
            writer.write(programs[kind], path, Spec(precision, labels, io, config.name))


def _kinds(config: Config) -> set[str]:
    return {"int8" if precision == "int8" else "float" for precision in config.precisions}


def _write(runtime: RuntimeName, program: Program, spec: Spec, folder: Path) -> FileEntry:
    writer = RUNTIMES[runtime]
    path = folder / f"{spec.name}.{spec.precision}{writer.suffix}"
    signature = writer.write(program, path, spec)
    found = writer.inspect(path)
    if spec.precision != "int8":
        found = {key: value for key, value in found.items() if key not in _OF_INTEGERS}
    return from_json(
        FileEntry,
        {
            **found,
            "runtime": runtime,
            "precision": spec.precision,
            "file": path.name,
            "bytes": size_of(path),
            "signature": dataclasses.asdict(signature),
        },
    )


_OF_INTEGERS = {"executed", "float_operators", "float_counts", "arm64", "inner_pairs"}
"""Of what a look into a file gives, what is told of int8 files alone."""


def _fallen(entry: FileEntry) -> list[str]:
    """What a runtime runs in float of a file that is to be integers."""
    if not entry.float_operators:
        return []
    text = f"{entry.file}: {_share(entry)} in {entry.runtime}"
    if entry.runtime != "litert":
        text += f" on this processor ({_processor()})"
    kinds = ", ".join(f"{kind} x {count}" for kind, count in (entry.float_counts or {}).items())
    other = f"; on arm64 {_share(entry.arm64)}" if entry.arm64 else ""
    return [f"{text}: {kinds}{other}"]


def _share(found: FileEntry | Executed) -> str:
    count = sum((found.float_counts or {}).values())
    return f"{count} of {found.executed} operators run in float"


def _processor() -> str:
    found = machine()
    known = [flag for flag in ("avx512_vnni", "avx_vnni", "dotprod") if flag in found["flags"]]
    return f"{found['isa']}, {' '.join(known) or 'without int8 dot products'}"


def _transposed(entry: FileEntry) -> list[str]:
    """What a file pays for operators that have no form for images laid out NHWC."""
    if not entry.transposed_bytes:
        return []
    count = entry.transposes
    plural = "transpose is" if count == 1 else "transposes are"
    around = ", ".join(entry.transposed_around or ())
    return [
        f"{entry.file}: {count} {plural} left around {around}: right, and slower, as "
        f"{entry.transposed_bytes / 1000:.1f} KB are moved in each inference"
    ]
