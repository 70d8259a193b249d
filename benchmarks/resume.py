"""Kill a compile with SIGKILL at random moments, and compare its bundle with an undisturbed one.

The digits recipe in deterministic mode. Every kill is followed by the same command again; when a
compile is finished before all kills are spent, another one starts with an empty cache.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common import write
from edgedistill.package import Bundle


def command(folder: Path) -> list[str]:
    return [
        sys.executable, "-m", "edgedistill", "compile", "--target", "android-arm64",
        "--set", "deterministic=true", "--cache", str(folder / "cache"),
        "--out", str(folder / "bundle"),
    ]  # fmt: skip


def attempt(folder: Path, after: float | None) -> tuple[bool, float]:
    """Run the compile, killed `after` seconds; (whether it ended by itself, seconds it took)."""
    started = time.monotonic()
    with (folder / "log.txt").open("a") as log:
        process = subprocess.Popen(command(folder), stdout=log, stderr=log)
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return False, time.monotonic() - started
    if process.returncode not in (0, 1):
        raise RuntimeError(f"exit code {process.returncode}:\n{(folder / 'log.txt').read_text()}")
    return True, time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    chance = random.Random(wanted.seed)
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as top:
        calm = Path(top, "calm")
        calm.mkdir()
        _, duration = attempt(calm, None)
        expected = Bundle.load(calm / "bundle").digest
        print(f"undisturbed: {duration:.0f} s", flush=True)
        kills = number = 0
        while kills < wanted.kills:
            folder = Path(top, f"killed{number}")
            folder.mkdir()
            number += 1
            done = False
            moments: list[float] = []
            while not done:
                moment = chance.uniform(0.05, 0.35) * duration if kills < wanted.kills else None
                done, spent = attempt(folder, moment)
                if not done:
                    kills += 1
                    moments.append(spent)
                    print(f"kill {kills} after {spent:.1f} s", flush=True)
            same = Bundle.load(folder / "bundle").digest == expected
            print(f"bundle {number}: {'same' if same else 'DIFFERENT'} digests", flush=True)
            rows.append(
                {"name": f"compile {number}", "kills_after_s": moments, "same_digests": same}
            )
    write("resume", rows, seeds=[wanted.seed], undisturbed_s=duration)
    if not all(row["same_digests"] for row in rows):
        raise SystemExit("a resumed compile gave another bundle")


if __name__ == "__main__":
    main()
