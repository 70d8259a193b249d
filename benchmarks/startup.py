"""How long the command line takes where nothing has to be done: whole processes, wall clock."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.common import mean_and_std, write
from edgedistill.cache import default_root

RECIPE = Path(__file__).parents[1] / "examples" / "cifar10.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--cache", type=Path, default=default_root())
    wanted = parser.parse_args()
    program = str(Path(sys.executable).with_name("edgedistill"))
    with TemporaryDirectory() as folder:
        commands = {
            "edgedistill --help": [program, "--help"],
            "recompile of examples/cifar10.yaml, unchanged": [
                program, "compile", str(RECIPE), "--target", "android-arm64",
                "--cache", str(wanted.cache), "--out", str(Path(folder, "bundle")),
            ],
        }  # fmt: skip
        samples: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(wanted.runs + 1):
            for name, command in commands.items():
                started = time.monotonic()
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode not in (0, 1):
                    raise SystemExit(done.stderr)
                if number:
                    samples[name].append(time.monotonic() - started)
    rows = []
    for name, values in samples.items():
        mean, std = mean_and_std(values)
        rows.append({"name": name, "seconds_mean": mean, "seconds_std": std,
                     "samples": values})  # fmt: skip
        print(f"{name}: {mean:.2f} s")
    write("startup", rows, seeds=[])


if __name__ == "__main__":
    main()
