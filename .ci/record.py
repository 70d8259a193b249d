"""`record.py BLOCKS RESULT`: the times of the README's commands, and what the first printed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.common import RESULTS, write


def main() -> None:
    """Write the result of what `.ci/run` has timed; the module says how it is called."""
    blocks, result = Path(sys.argv[1]), Path(sys.argv[2])
    rows = [
        {
            "name": f"`{block.read_text().strip()}`",
            "seconds": int(block.with_suffix(".seconds").read_text()),
        }
        for block in sorted(blocks.glob("*.sh"))
    ]
    printed = (blocks / "1.out").read_text().replace(f"{Path.cwd()}/", "")
    write("quickstart", rows, seeds=[0], printed=printed)
    shutil.copyfile(RESULTS / "quickstart.json", result)


if __name__ == "__main__":
    main()
