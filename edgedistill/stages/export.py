"""Write the student's programs as the files that the target's runtimes read."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgedistill import program_file
from edgedistill.artifact import Artifact, JsonObject
from edgedistill.devices import Job, Protocol, in_words, machine, open_device, race, ratio_of
from edgedistill.errors import UserError
from edgedistill.program import MAIN
from edgedistill.records import (
    DataRecord,
    Executed,
    ExportRecord,
    FileEntry,
    IntegersChoice,
    QuantizeRecord,
)
from edgedistill.runtimes import RUNTIMES, Spec, size_of
from edgedistill.runtimes.writing import file_path, write_file
from edgedistill.scratch import scratch_folder
from edgedistill.signature import noise
from edgedistill.stages import Context
from edgedistill.target import Frozen, Precision, RuntimeName

if TYPE_CHECKING:
    from edgedistill.program import Program


class Config(Frozen):
    """What the files depend on."""

    name: str
    """The recipe's: files are called after it."""
    runtimes: tuple[RuntimeName, ...]
    precisions: tuple[Precision, ...]
    io: Literal["float", "integer"]
    """Of int8 files."""
    processor: str
    """Digest of this processor's instructions: on another, other operators run in float."""
    oldest: str | None = None
    """TensorFlow Lite that has to run the .tflite files."""
    integers: Literal["auto", "signed", "unsigned"] | None = None
    """Of int8 .onnx files; `auto` measures both; None: signed, as nobody can measure here."""
    threads: int = 1
    machine: str = ""
    """Digest of this machine's identity, where it measures."""

    @property
    def made_with(self) -> tuple[str, ...]:
        """What writes files of the runtimes that are extras of edgedistill."""
        extras = (RUNTIMES[each] for each in self.runtimes if RUNTIMES[each].extra)
        return tuple(name for each in extras for name in each.written_by)


def run(config: Config, inputs: dict[str, Artifact], context: Context) -> JsonObject:
    """Leaves the model files in `files`, and `export.json`, which describes each."""
    from edgedistill.runtimes.program import float_layers

    begin = time.monotonic()
    labels = DataRecord.read(inputs["data"]).classes
    folder = context.scratch / "files"
    folder.mkdir(exist_ok=True)
    stored = inputs["quantize"].path
    kinds = {kind: program_file.load_all(stored, kind) for kind in _kinds(config)}
    quantization = QuantizeRecord.read(inputs["quantize"]).quantization
    kept = quantization.kept_in_float if quantization else ()
    names = (
        name for program in kinds.get("int8", {}).values() for name in float_layers(program, kept)
    )
    in_float = tuple(dict.fromkeys(names))
    warnings = [f"left in float in int8 files: {', '.join(in_float)}"] if in_float else []
    warnings += [
        f"{runtime}: there is no such file in {precision}"
        for runtime, precision in _left_out(config)
    ]
    warnings += [
        f"{runtime}: its files are read back and computed in torch, not run and not timed: they "
        f"run on {RUNTIMES[runtime].elsewhere} alone"
        for runtime in config.runtimes
        if RUNTIMES[runtime].elsewhere
    ]
    entries: list[FileEntry] = []
    renderings = [each for each in _renderings(config) if each not in _left_out(config)]
    for done, (runtime, precision) in enumerate(renderings):
        spec = Spec(precision, labels, config.io if precision == "int8" else "float", config.name)
        made, notes = _write(runtime, kinds[_kind(precision)], spec, folder)
        if (runtime, precision) == ("onnxruntime", "int8"):
            made = [_choose(config, each, kinds["int8"], spec, folder, context) for each in made]
        _check_age(made, config.oldest)
        entries += made
        warnings += [
            *notes,
            *(text for each in made for text in (*_fallen(each), *_transposed(each))),
        ]
        note = ", ".join(f"{name}, {size / 1000:.1f} KB" for name, size in _sizes(made).items())
        context.reporter.tick("export", done + 1, len(renderings), note)
    for text in warnings:
        context.reporter.say(f"export: {text}")
    ExportRecord(tuple(entries), labels, in_float).write(context.scratch)
    return {"bytes": _sizes(entries), "warnings": warnings, "seconds": time.monotonic() - begin}


def rehearse(
    config: Config,
    kinds: dict[str, dict[str, Program]],
    labels: tuple[str, ...],
    tick: Callable[[int, int, str], None] = lambda *_: None,
) -> None:
    """Write a student that has learned nothing yet for every runtime, in float and as int8, and
    throw the files away.

    kinds: programs by name under `float`, and under `int8` where there are; tick: gets how many
    files are done, of how many, and which one comes next.
    Raises UserError: a runtime's converter does not take one.
    """
    wanted = [
        (runtime, kind, name)
        for runtime in config.runtimes
        for kind in kinds
        if kind in _kinds(config)
        for name in kinds[kind]
    ]
    with scratch_folder() as folder:
        for done, (runtime, kind, name) in enumerate(wanted):
            precision: Precision = "int8" if kind == "int8" else "fp32"
            tick(done, len(wanted), f"{runtime}, {precision}")
            io = config.io if kind == "int8" else "float"
            spec = Spec(precision, labels, io, config.name)
            RUNTIMES[runtime].write(kinds[kind][name], file_path(folder, runtime, spec, name), spec)


def _renderings(config: Config) -> Iterator[tuple[RuntimeName, Precision]]:
    yield from itertools.product(config.runtimes, config.precisions)


def _left_out(config: Config) -> list[tuple[RuntimeName, Precision]]:
    """The files that a runtime's format has no form for."""
    return [each for each in _renderings(config) if each[1] not in RUNTIMES[each[0]].precisions]


def _kind(precision: Precision) -> str:
    return "int8" if precision == "int8" else "float"


def _kinds(config: Config) -> set[str]:
    return set(map(_kind, config.precisions))


def _sizes(entries: Sequence[FileEntry]) -> dict[str, int]:
    return {entry.file: entry.bytes for entry in entries}


def _write(
    runtime: RuntimeName, programs: dict[str, Program], spec: Spec, folder: Path
) -> tuple[list[FileEntry], list[str]]:
    """The files of a student in one runtime and precision, with what is to be told: programs
    share one where the format can hold several and it is smaller for it."""
    writer = RUNTIMES[runtime]
    entries = [write_file(each, runtime, spec, folder, name) for name, each in programs.items()]
    paths = {each.program: folder / each.file for each in entries}
    notes: list[str] = []
    if len(programs) > 1:
        joined = folder / f"joined{writer.suffix}"
        reason = writer.join(paths, joined)
        if reason is None:
            for path in paths.values():
                path.unlink()
            whole = joined.rename(paths[MAIN])
            entries = [
                dataclasses.replace(each, file=whole.name, bytes=size_of(whole)) for each in entries
            ]
        else:
            notes.append(f"{paths[MAIN].name}: each program has a file of its own: {reason}")
    return entries, notes


def _choose(
    config: Config, signed: FileEntry, programs: dict[str, Program], spec: Spec, folder: Path,
    context: Context,
) -> FileEntry:  # fmt: skip
    """An int8 .onnx file with the integers that it is to have."""
    if config.integers is None:
        why = "this machine is not of the target's kind, so that nothing was measured"
        return dataclasses.replace(signed, integers=IntegersChoice("signed", why))
    if config.integers == "signed":
        return dataclasses.replace(signed, integers=IntegersChoice("signed", "the recipe says so"))
    spec = dataclasses.replace(spec, integers="unsigned")
    place = context.checkpoints / "unsigned"
    place.mkdir(exist_ok=True)
    unsigned = write_file(programs[signed.program], signed.runtime, spec, place, signed.program)
    ours, other = folder / signed.file, place / unsigned.file
    if config.integers == "unsigned":
        choice = IntegersChoice("unsigned", "the recipe says so")
    else:
        choice = _faster(ours, other, signed, config.threads, context)
        context.reporter.say(f"export: {signed.file}: {choice.integers} integers: {choice.why}")
    if choice.integers == "signed":
        return dataclasses.replace(signed, integers=choice)
    ours.unlink()
    shutil.move(other, ours)
    return dataclasses.replace(unsigned, integers=choice)


_WORTH = 0.05
"""An unsigned file has to take so much less, as the runtime's own noise is below it."""


def _faster(
    signed: Path, unsigned: Path, entry: FileEntry, threads: int, context: Context
) -> IntegersChoice:
    """Both files by turns on this machine; what they are fed does not change what they take."""
    import numpy as np
    import torch

    inputs = context.checkpoints / "inputs.npz"
    reals = (dataclasses.replace(each, dtype="float32") if each.scale else each
             for each in entry.signature.inputs)  # fmt: skip
    drawn = noise(tuple(reals), 1, torch.Generator().manual_seed(context.seed))
    values = {each.name: it.numpy() for each, it in zip(entry.signature.inputs, drawn, strict=True)}
    np.savez(inputs, **values)  # type: ignore[arg-type]
    protocol = Protocol(runs=200, seconds=1.0, threads=threads)
    with open_device("local") as device:
        jobs = [Job(path, "onnxruntime", inputs, protocol) for path in (signed, unsigned)]
        times, other = race(device, jobs)
        where = in_words(device.identity())
    ratio = round(ratio_of(other, times), 4)
    pays = ratio <= 1 - _WORTH
    why = f"unsigned take {ratio:.2f} times as long as signed on {where}"
    return IntegersChoice("unsigned" if pays else "signed", why, ratio, times, other, where)


def _check_age(entries: Sequence[FileEntry], wanted: str | None) -> None:
    """Raises UserError: a file has operators that are newer than the runtime it is for."""
    from edgedistill.runtimes.tflite.versions import is_older

    for entry in entries:
        if wanted is None or entry.runtime != "litert":
            continue
        if entry.oldest is None or is_older(wanted, entry.oldest):
            needs = f"TensorFlow Lite {entry.oldest}" if entry.oldest else "nobody knows which one"
            raise UserError(
                f"{entry.file} wants {needs} for {', '.join(entry.oldest_for or ())}, and "
                f"`stages.export.oldest` is {wanted}",
                "build the student of other operators, or allow a newer runtime",
            )


def _fallen(entry: FileEntry) -> list[str]:
    """What a runtime runs in float of a file that is to be integers."""
    if not entry.float_operators:
        return []
    text = f"{entry.file}: {_share(entry)} in {entry.runtime}"
    if entry.runtime != "litert" and not RUNTIMES[entry.runtime].elsewhere:
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
