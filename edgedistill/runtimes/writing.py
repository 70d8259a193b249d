"""A program as a file of a runtime, and what is told of that file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.program import MAIN
from edgedistill.records import FileEntry, from_json
from edgedistill.runtimes import RUNTIMES, Spec, size_of
from edgedistill.target import RuntimeName

if TYPE_CHECKING:
    from edgedistill.program import Program


def write_file(
    program: Program, runtime: RuntimeName, spec: Spec, folder: Path, name: str = MAIN
) -> FileEntry:
    """Write the program of that name for a runtime into a folder, and look into the file."""
    path = file_path(folder, runtime, spec, name)
    signature = RUNTIMES[runtime].write(program, path, spec)
    look = RUNTIMES[runtime].inspect(path)
    said = {
        key: value
        for key, value in look.items()
        if spec.precision == "int8" or key not in _OF_INTEGERS
    }
    return from_json(
        FileEntry,
        {
            **said,
            "runtime": runtime,
            "precision": spec.precision,
            "file": path.name,
            "bytes": size_of(path),
            "signature": dataclasses.asdict(signature),
            "program": name,
        },
    )


_OF_INTEGERS = {"executed", "float_operators", "float_counts", "arm64", "inner_pairs"}
"""Of what a look into a file gives, what is told of int8 files alone."""


def file_path(folder: Path, runtime: RuntimeName, spec: Spec, program: str) -> Path:
    """Where the file of a program lies."""
    middle = "" if program == MAIN else f".{program}"
    return folder / f"{spec.name}{middle}.{spec.precision}{RUNTIMES[runtime].suffix}"
