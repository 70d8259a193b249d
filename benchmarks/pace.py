"""Training, pruning, rounding and the search for near duplicates, beside older commits.

Each sample is a process of its own on one thread; the two sides take turns, so that whatever else
the machine does touches both. Networks have random weights. The older search for near duplicates
compares every image of the later split with all of the earlier one, so it is timed on a few of the
former, and `seconds_for_all` is that times how many there are: an extrapolation, told as such, and
a few percent too long, as it begins with what is done once. Its memory is that of all of the
earlier split in any case.

    python -m benchmarks.pace [--before COMMIT] [--runs 3]
    python -m benchmarks.pace --small     # a minute, to see that it runs; writes nothing
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common import mean_and_std, write
from benchmarks.pace_side import PLANTED, SEED

ROOT = Path(__file__).parents[1]
BEFORE = "61262d2"
"""The last commit before pruning, rounding and the search were made faster."""
ONE_INPUT = "6ab99af"
"""The last commit whose models take one picture: what training is held against."""
PRUNED = {
    "prune ResNeXt-50 to 70 % of its MACs in multiples of 8":
        ("prune", "resnext50_32x4d", "64", "0.7", "8"),
    "prune ResNeXt-50 to 30 % of its MACs in multiples of 1":
        ("prune", "resnext50_32x4d", "64", "0.3", "1"),
    "prune ViT-B/16 to 70 % of its MACs in multiples of 8":
        ("prune", "vit_b_16", "64", "0.7", "8"),
}  # fmt: skip
TRAINED = 5
"""Runs of the stages that train, whose times are closest."""
KNOWN = HELD = 500_000
HELD_BEFORE = 16_384
"""Images that the older search is timed on."""


def sample(tree: Path, arguments: tuple[str, ...]) -> dict[str, Any]:
    """What one process with the package in `tree` tells of a task of `pace_side.py`."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "pace_side.py"), *arguments],
        env={**os.environ, **threads, "PYTHONPATH": str(tree)},
        cwd=tree, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} in {tree}: {done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(f"{tree.name}: {' '.join(arguments)}: {told}", flush=True)
    return told


def compared(
    name: str, trees: dict[str, Path], arguments: dict[str, tuple[str, ...]], runs: int
) -> list[dict[str, Any]]:
    """A row for each side, of samples taken in turns."""
    samples: dict[str, list[dict[str, Any]]] = {side: [] for side in trees}
    for number in range(runs):
        for side in list(trees)[:: 1 if number % 2 else -1]:
            samples[side].append(sample(trees[side], arguments[side]))
    rows = [{"name": name, "side": side, **_summary(told)} for side, told in samples.items()]
    if len(set(arguments.values())) == 1 and len({row["digest"] for row in rows}) > 1:
        raise SystemExit(f"{name}: the two sides differ in what they give")
    return rows


def _summary(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Means and deviations of what is measured, and what every sample gave alike."""
    found: dict[str, Any] = {"samples": samples}
    for key in samples[0]:
        values = [each[key] for each in samples]
        if key in ("seconds", "peak_mb") or key.endswith("images_per_second"):
            found[f"{key}_mean"], found[f"{key}_std"] = mean_and_std(values)
        elif len(set(values)) > 1:
            raise SystemExit(f"{key} differs from run to run: {values}")
        else:
            found[key] = values[0]
    return found


def near(trees: dict[str, Path], known: int, held: int, timed: int, runs: int) -> Any:
    """The search for near duplicates; the older one on `timed` of `held` images."""
    counts = {"before": timed, "after": held}
    rows = compared(
        f"near duplicates among {known + held:,} fingerprints", trees,
        {side: ("near", str(known), str(count)) for side, count in counts.items()}, runs,
    )  # fmt: skip
    for row in rows:
        count = counts[row["side"]]
        row["compared"], row["extrapolated"] = count, count < held
        row["seconds_for_all"] = row["seconds_mean"] * held / count
        if row["found"] != PLANTED:
            raise SystemExit(f"{row['side']}: {row['found']} of {PLANTED} planted pairs are found")
    if len({row["digest"] for row in rows}) > 1:
        raise SystemExit("the two searches find other pairs")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", default=BEFORE)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--small", action="store_true")
    wanted = parser.parse_args()
    runs = 1 if wanted.small else wanted.runs
    with TemporaryDirectory() as folder:
        trees = {"before": _tree(wanted.before, Path(folder)), "after": ROOT}
        older = {"before": _tree(ONE_INPUT, Path(folder)), "after": ROOT}
        trained = ("stages", "320", "1") if wanted.small else ("stages", "2560", "2")
        rows = compared("stages that train, of the CIFAR recipe", older,
                        dict.fromkeys(older, trained), 1 if wanted.small else TRAINED)  # fmt: skip
        for name, arguments in list(PRUNED.items())[: 1 if wanted.small else None]:
            if wanted.small:
                arguments = ("prune", "resnet18", "32", "0.7", "8")
            rows += compared(name, trees, dict.fromkeys(trees, arguments), runs)
        training = ("train", "3" if wanted.small else "30")
        rows += compared("quantization-aware training", trees, dict.fromkeys(trees, training), runs)
        known, held, timed = (20_000, 5_000, 1_000) if wanted.small else (KNOWN, HELD, HELD_BEFORE)
        rows += near(trees, known, held, timed, runs)
    if not wanted.small:
        write("pace", rows, seeds=[SEED], before=wanted.before, one_input=ONE_INPUT, threads=1)


def _tree(commit: str, folder: Path) -> Path:
    """The package as it was."""
    tree = folder / commit
    tree.mkdir()
    archive = subprocess.run(["git", "archive", commit, "edgedistill", "targets"], cwd=ROOT,
                             capture_output=True, check=True)  # fmt: skip
    subprocess.run(["tar", "x", "-C", str(tree)], input=archive.stdout, check=True)
    return tree


if __name__ == "__main__":
    main()
