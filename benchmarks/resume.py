"""Kill a compile with SIGKILL at random moments, and compare its bundle with an undisturbed one.

The digits recipe, most of whose time is training here, in deterministic mode. Every kill
is followed by the same command again; when a compile is finished before all kills are spent,
another one starts with an empty cache. Most kills wait until a stage trains; the others come at any
moment.
At the end nothing may lie in the folder for what samples_seen, nor beside the bundle.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common import write
from edgedistill.bundle import Bundle

TRAINING = ("teacher", "distill", "prune", "quantize")
SETTINGS = (
    "deterministic=true", "data.limit=400", "stages.teacher.train.epochs=24",
    "stages.distill.epochs=60", "stages.prune.epochs=24", "stages.quantize.epochs=24",
    "stages.audit.corruption_samples=0", "stages.benchmark.seconds=0.5",
)  # fmt: skip
LONGEST_WAIT, LONGEST_RUN = 5.0, 45.0
"""Seconds of a stage's training, and of a compile, before it is killed, at most."""


@dataclass(frozen=True)
class Place:
    """Where one compile works, and all that it leaves."""

    folder: Path

    def __post_init__(self) -> None:
        for name in ("out", "tmp"):
            (self.folder / name).mkdir(parents=True)

    @property
    def bundle(self) -> Path:
        return self.folder / "out" / "bundle"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def left(self) -> list[str]:
        """What lies where nothing should."""
        beside = [each for each in (self.folder / "out").iterdir() if each != self.bundle]
        work = [each for each in (self.folder / "cache" / "work").iterdir() if each.is_dir()]
        return [str(each) for each in (*beside, *(self.folder / "tmp").iterdir(), *work)]

    def start(self) -> subprocess.Popen[bytes]:
        self.log.write_text("")
        line = [sys.executable, "-m", "edgedistill", "compile", "--target", "web-wasm"]
        line += ["--cache", str(self.folder / "cache"), "--out", str(self.bundle)]
        line += [word for each in SETTINGS for word in ("--set", each)]
        with self.log.open("a") as log:
            environment = {**os.environ, "TMPDIR": str(self.folder / "tmp")}
            return subprocess.Popen(line, stdout=log, stderr=log, env=environment)

    def stage(self) -> str:
        """What the running compile was last said to be at."""
        said = re.findall(r"^(\w+): (?:started|going on)$", self.log.read_text(), re.MULTILINE)
        return said[-1] if said else "starting"


def attempt(place: Place, wait: float | None, in_training: bool) -> str | None:
    """Run the compile, killed after `wait` seconds, of training if so wanted; the stage that was
    killed, or None where it ended by itself."""
    process, since = place.start(), time.monotonic()
    while process.poll() is None:
        time.sleep(0.05)
        if in_training and place.stage() not in TRAINING:
            since = time.monotonic()
        elif wait is not None and time.monotonic() - since > wait:
            process.kill()
            process.wait()
            return place.stage()
    if process.returncode not in (0, 1):
        raise RuntimeError(f"exit code {process.returncode}:\n{place.log.read_text()}")
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    chance = random.Random(wanted.seed)
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as top:
        calm, started = Place(Path(top, "calm")), time.monotonic()
        attempt(calm, None, False)
        duration, expected = time.monotonic() - started, Bundle.load(calm.bundle).digest
        print(f"undisturbed: {duration:.0f} s", flush=True)
        while sum(len(row["killed_in"]) for row in rows) < wanted.kills:
            place = Place(Path(top, f"killed{len(rows)}"))
            killed = killed_compile(place, wanted.kills, rows, chance)
            same = Bundle.load(place.bundle).digest == expected
            row = {"name": f"compile {len(rows) + 1}", "killed_in": killed, "same_digests": same,
                   "left": place.left()}  # fmt: skip
            print(row, flush=True)
            rows.append(row)
    stages = Counter(stage for row in rows for stage in row["killed_in"])
    write("resume", rows, seeds=[wanted.seed], undisturbed_s=round(duration), kills=stages,
          settings=SETTINGS)  # fmt: skip
    if not all(row["same_digests"] and not row["left"] for row in rows):
        raise SystemExit("a resumed compile gave another bundle, or left something")


def killed_compile(
    place: Place, kills: int, rows: list[dict[str, Any]], chance: random.Random
) -> list[str]:
    """Kill a compile again and again until it is done, or no kill is left; the stages it was in."""
    left = kills - sum(len(row["killed_in"]) for row in rows)
    killed: list[str] = []
    while True:
        in_training = chance.random() < 0.7
        wait = chance.uniform(0.1, LONGEST_WAIT if in_training else LONGEST_RUN)
        stage = attempt(place, wait if len(killed) < left else None, in_training)
        if stage is None:
            return killed
        killed.append(stage)
        print(f"kill {len(killed)} of this compile, in {stage}", flush=True)


if __name__ == "__main__":
    main()
