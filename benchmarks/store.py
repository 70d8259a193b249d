"""The store of a teacher's answers, killed while it fills.

`edgedistill teach` on the digits, with a teacher behind an endpoint here that also fails,
throttles and is late. The process is killed with SIGKILL at random moments and started again
until it ends. The endpoint counts what it was asked: no answer may be asked for twice, but for
those that were under way at a kill, and none may be missing.

    python -m benchmarks.store [--kills 5]
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import write
from edgedistill.api import default_recipe

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "distill" / "teachers"))

CONCURRENCY = 4


def answer(image: Any) -> list[float]:
    """Ten probabilities that tell every picture from every other."""
    values = np.random.default_rng(int(np.asarray(image, np.int64).sum())).random(10) + 0.01
    shares: list[float] = (values / values.sum()).tolist()
    return shares


def teach(url: str, folder: Path) -> subprocess.Popen[bytes]:
    teacher = f"{{family: http, url: '{url}', concurrency: {CONCURRENCY}, retries: 8}}"
    line = [
        sys.executable, "-m", "edgedistill", "teach", str(default_recipe()), "--json",
        "--cache", str(folder / "cache"), "--export", str(folder / "answers.parquet"),
        "--set", f"teacher={teacher}", "--set", "stages.teacher.train=null",
        "--set", "stages.teach.views=1",
    ]  # fmt: skip
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    from loopback import Reply, serve

    chance = random.Random(wanted.seed)

    def reply(asked: Any) -> Any:
        draw = chance.random()
        if draw < 0.03:
            return Reply(500)
        if draw < 0.06:
            return Reply(429, headers={"Retry-After": "0"})
        return Reply(late=0.002)

    with tempfile.TemporaryDirectory() as scratch, serve(answer, reply) as endpoint:
        folder = Path(scratch)
        under_way: set[str] = set()
        moments: list[int] = []
        while len(moments) < wanted.kills:
            before = len(endpoint.answers)
            run = teach(endpoint.url, folder)
            goal = before + chance.randint(20, 250)
            while len(endpoint.answers) < goal and run.poll() is None:
                time.sleep(0.005)
            assert run.poll() is None, "it ended before it could be killed: fewer kills, please"
            run.kill()
            run.wait()
            time.sleep(0.2)
            moments.append(len(endpoint.answers))
            # Each connection may have one request open and one answer not yet written down.
            last = endpoint.asked[-2 * CONCURRENCY :]
            under_way |= {asked.headers["Idempotency-Key"] for asked in last}
            print(f"killed after {moments[-1]} answers", flush=True)
        run = teach(endpoint.url, folder)
        told = json.loads(run.communicate()[0])
        assert run.returncode == 0
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(folder / "answers.parquet")
        logits = np.array(table["logits"].to_pylist())
        twice = {key for key, count in endpoint.answers.items() if count > 1}
        rows = [
            {
                "name": "killed while filling",
                "kills": len(moments),
                "answers_at_kills": moments,
                "images": len(endpoint.answers),
                "requests": len(endpoint.asked),
                "answered_twice": len(twice),
                "answered_twice_and_not_under_way_at_a_kill": len(twice - under_way),
                "answers_kept": told["answers"],
                "missing": int(np.isnan(logits).any(axis=1).sum()),
                "training_quality": told["training_quality"],
            }
        ]
    write("store", rows, seeds=[wanted.seed], data="scikit-learn's digits")


if __name__ == "__main__":
    main()
