"""What a search of 30 minutes gains over the recipe's own guess.

`edgedistill search` on a part of the CIFAR-10 images; then the recipe's own values and what was
found are both compiled in full, and their int8 files asked about the test set, once.

    python -m benchmarks.search [--seed 0] [--limit 10000] [--budget 30m] [--out DIR] [--cache DIR]
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from benchmarks.cifar10 import EXAMPLE, TARGET, recipe
from benchmarks.common import RESULTS, Quiet, write
from edgedistill import api
from edgedistill.bundle import Bundle
from edgedistill.cache import default_root
from edgedistill.report.study import headline

EPOCHS = 40
"""Of both sides' trainings in full. On so few images no student keeps what a contract asks."""


def row(name: str, bundle: Bundle, **rest: Any) -> dict[str, Any]:
    told = bundle.report["summary"]
    return {
        "name": name,
        "accuracy": told["quality"],
        "macs": told["macs"],
        "padded_macs": told["padded_macs"],
        "size_kb": told["size_kb"],
        "contract": bundle.ok,
        **rest,
    }


def picture(page: str) -> str:
    """The drawing of a search's page by itself: the colours that it names are written out."""
    colours = dict(reversed(re.findall(r"--([a-z-]+): *(#\w+)", page)))
    drawn = page[page.index("<svg") : page.index("</svg>")] + "</svg>\n"
    whole = re.sub(r"var\(--([a-z-]+)\)", lambda name: colours[name[1]], drawn)
    looks = 'style="background: white; font-family: sans-serif"'
    return whole.replace("<svg", f'<svg xmlns="http://www.w3.org/2000/svg" {looks}', 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, default=10_000)
    parser.add_argument("--budget", default="30m")
    parser.add_argument("--out", type=Path, default=Path("search-cifar10"))
    parser.add_argument("--cache", type=Path, default=default_root())
    wanted = parser.parse_args()
    own = recipe(
        f"seed={wanted.seed}", f"data.limit={wanted.limit}", f"stages.distill.epochs={EPOCHS}",
        "contract.min_retention=null", path=EXAMPLE,
    )  # fmt: skip
    found = api.search(
        own, TARGET, wanted.budget, out=wanted.out, cache=wanted.cache, reporter=Quiet()
    )
    guess = api.compile(
        own, TARGET, wanted.out.with_name(f"{wanted.out.name}-guess"), wanted.cache,
        reporter=Quiet(),
    )  # fmt: skip
    assert isinstance(guess, Bundle) and found.bundle is not None
    record = found.record
    by = {run.number: run for run in record.runs}
    ours, best = by[record.guess or 0], by[record.best or 0]
    rows = [
        row("the recipe's own values, int8", guess, validation=ours.quality),
        row("found, int8", found.bundle, validation=best.quality),
    ]
    rows[1]["gain"] = rows[1]["accuracy"] - rows[0]["accuracy"]
    page = (found.path / "search.html").read_text()
    (RESULTS / "search.svg").write_text(picture(page))
    write(
        "search", rows, seeds=[wanted.seed],
        data=f"CIFAR-10, JPEG copy, {wanted.limit} images", budget=wanted.budget,
        searched_s=record.spent_s, runs=len(record.runs),
        trials=len({run.trial for run in record.runs}), values=best.values,
        front=[vars(by[number]) for number in record.front], said=headline(record),
    )  # fmt: skip
    print(headline(record))


if __name__ == "__main__":
    main()
