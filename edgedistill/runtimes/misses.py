"""What a run says of files that miss a tolerance."""

from __future__ import annotations

from edgedistill.records import (
    ProgramRow,
    VerifyRow,
)


def warnings_of(rows: tuple[VerifyRow, ...], programs: tuple[ProgramRow, ...]) -> list[str]:
    """A sentence for each file, and each further program, that misses one."""
    told = [
        f"{row.file}: misses a tolerance ({', '.join(row.missed)}); {row.verdict}"
        for row in rows
        if row.missed
    ]
    return told + [
        f"{row.file}, program `{row.program}` over {row.steps} steps: {', '.join(row.missed)}; the "
        f"cause: {row.cause}"
        for row in programs
        if row.missed
    ]
