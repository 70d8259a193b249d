"""What a package adds to an app, and whether the one for Python answers where there is no torch.

Each bundle is packaged for each platform, with the runtime and precision that it gets by default;
what cannot be packaged is told as the command tells it. The wheels are installed into an
environment of their own, which has NumPy and the runtimes alone, and hold themselves against their
golden data; the import is the least of a few fresh processes, without Python's own start, by the
clock and by the processor's time, which a busy machine does not lengthen.

    python -m benchmarks.packages BUNDLE... [--venv FOLDER]

`--venv` keeps the environment in FOLDER, for the next time; it is made with the package index.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import write
from edgedistill.bundle import Bundle
from edgedistill.errors import UserError
from edgedistill.package import PLATFORMS, package

TIMES = 7
_IMPORT = (
    "from time import perf_counter, process_time\n"
    "begin = perf_counter(), process_time()\n"
    "import {0}\n"
    "print(perf_counter() - begin[0], process_time() - begin[1])\n"
)
_TEST = (
    "import sys, {0}\n"
    "found = {0}.open().self_test()\n"
    "print(found.equal, found.worst, 'torch' in sys.modules)\n"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--venv", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        python = environment(asked.venv or Path(scratch, "venv"))
        rows = [
            row(Bundle.load(path), platform, Path(scratch, f"{at}-{platform}"), python)
            for at, path in enumerate(asked.bundles)
            for platform in PLATFORMS
        ]
    write("packages", rows, seeds=[], installed=installed(python))


def environment(folder: Path) -> Path:
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return python


def installed(python: Path) -> list[str]:
    command = [python, "-m", "pip", "list", "--format", "freeze"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()


def row(bundle: Bundle, platform: str, out: Path, python: Path) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": bundle.manifest["name"], "task": bundle.manifest["task"], "platform": platform,
    }  # fmt: skip
    begin = time.perf_counter()
    try:
        made = package(bundle, platform, out)
    except UserError as error:
        return {**told, "refused": str(error)}
    told |= {
        "runtime": made.runtime, "precision": made.precision,
        "seconds": time.perf_counter() - begin,
        **{f"{name}_kb": None if size is None else size / 1e3
           for name, size in made.sizes.items()},
        "runtime_is": made.runtime_is,
    }  # fmt: skip
    if platform == "python":
        told |= tried(made.path, python)
    print(told, flush=True)
    return told


def tried(folder: Path, python: Path) -> dict[str, Any]:
    (wheel,) = (folder / "dist").glob("*.whl")
    subprocess.run([python, "-m", "pip", "install", "-q", wheel], check=True)
    module = wheel.name.partition("-")[0]
    runs = [list(map(float, ran(python, _IMPORT.format(module)))) for _ in range(TIMES)]
    imported, processor = map(min, zip(*runs, strict=True))
    equal, worst, torch = ran(python, _TEST.format(module))
    return {
        "wheel_kb": wheel.stat().st_size / 1e3, "golden_equal": equal == "True",
        "golden_worst": float(worst), "import_s": imported, "import_processor_s": processor,
        "torch": torch == "True",
    }  # fmt: skip


def ran(python: Path, code: str) -> list[str]:
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


if __name__ == "__main__":
    main()
