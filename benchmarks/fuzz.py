"""What damaged or malicious input does to the readers: it may be read or told of, and nothing else.

    python -m benchmarks.fuzz                        every kind for ten minutes, about 80 in all
    python -m benchmarks.fuzz parquet npz --minutes 1

Hypothesis changes valid inputs of each kind: bytes are flipped, cut, doubled or exchanged for nasty
ones, and values of documents and files for others. An example fails where something else than the
product's own error comes out, where this process dies (then nothing is written), or where one takes
longer than 5 seconds. Rows of kinds that were not asked for stay as they are in the result file.
"""

from __future__ import annotations

import argparse
import fcntl
import itertools
import json
import os
import random
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis

from benchmarks.common import RESULTS, write
from benchmarks.fuzz_kinds import KINDS, SLOW, Kind
from edgedistill.errors import UserError, in_short


@dataclass
class Tally:
    """What came of a kind's examples."""

    read: int = 0
    told: int = 0
    slowest: float = 0.0
    failures: dict[str, str] = field(default_factory=dict)
    """By the exception and where it was raised, an example of it."""

    def take(self, content: bytes, kind: Kind) -> None:
        kind.get_ready()
        started = time.monotonic()
        try:
            kind.read(content)
            self.read += 1
        except UserError:
            self.told += 1
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            self._fail(f"{in_short(error)[:100]} {_place(error)}", content)
        spent = time.monotonic() - started
        self.slowest = max(self.slowest, spent)
        if spent > SLOW:
            self._fail(f"took {spent:.0f} s", content)

    def _fail(self, what: str, content: bytes) -> None:
        if what not in self.failures:
            print(f"FAILED: {what}", flush=True)
        self.failures.setdefault(what, content[:2000].decode("latin-1"))


def _place(error: BaseException) -> str:
    last, trace = "", error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        last = f"{Path(name).name}:{trace.tb_lineno}" if "edgedistill" in name else last
        trace = trace.tb_next
    return last


def fuzz(name: str, minutes: float, seed: int) -> dict[str, Any]:
    """A row of the result."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        kind = KINDS[name](Path(folder))
        started = time.monotonic()
        for turn in itertools.count():
            if time.monotonic() - started > 60 * minutes:
                break
            _some_examples(tally, kind, random.Random(f"{seed} {turn}"))
        seconds = time.monotonic() - started
    row = {
        "name": name, "examples": tally.read + tally.told, "read": tally.read, "told": tally.told,
        "failed": len(tally.failures), "seconds": round(seconds), "failures": tally.failures,
        "slowest_s": round(tally.slowest, 2),
    }  # fmt: skip
    print(json.dumps({key: row[key] for key in row if key != "failures"}), flush=True)
    return row


def _some_examples(tally: Tally, kind: Kind, chance: random.Random) -> None:
    @hypothesis.settings(
        max_examples=200,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.seed(chance.randrange(2**32))
    @hypothesis.given(content=kind.inputs)
    def run(content: bytes) -> None:
        tally.take(content, kind)

    run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", choices=[*KINDS, []])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    for name in wanted.kinds or KINDS:
        row = fuzz(name, wanted.minutes, wanted.seed)
        _merge(row, wanted.seed)


def _merge(row: dict[str, Any], seed: int) -> None:
    path = RESULTS / "fuzz.json"
    held = os.open(RESULTS, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)  # several kinds may be at work
    before = json.loads(path.read_text())["rows"] if path.exists() else []
    rows = {each["name"]: each for each in before} | {row["name"]: row}
    write("fuzz", [rows[name] for name in KINDS if name in rows], seeds=[seed])
    os.close(held)


if __name__ == "__main__":
    main()
