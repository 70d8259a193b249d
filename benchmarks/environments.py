"""Environments of other tools: each beside this one's packages, and what its install costs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from edgedistill.artifact import write_json

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Environment:
    """Where a tool runs."""

    python: str
    asked: tuple[str, ...]
    """What pip was asked for; nothing where this environment has it already."""
    seconds: float | None = None
    """That pip took, with what had been downloaded before in its cache."""
    beside_mb: float | None = None
    """On disk, beside what edgedistill needs."""
    failed: str | None = None
    """pip's last words."""


HERE = Environment(sys.executable, ())


def environment(folder: Path, *asked: str) -> Environment:
    """The environment at `folder`, made where it is not yet: it sees this one's packages, and has
    its own of what the tool needs in other versions."""
    told = folder / "install.json"
    if told.exists():
        found = json.loads(told.read_text())
        return Environment(**{**found, "asked": tuple(found["asked"])})
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    python = folder / "bin" / "python"
    (own,) = folder.glob("lib/python*/site-packages")
    (own / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
    before, begun = _size_mb(folder), time.monotonic()
    pip = subprocess.run(
        [python, "-m", "pip", "install", "--disable-pip-version-check", *asked],
        capture_output=True, text=True,
    )  # fmt: skip
    made = Environment(
        str(python), asked, time.monotonic() - begun, _size_mb(folder) - before,
        pip.stderr.strip()[-600:] if pip.returncode else None,
    )  # fmt: skip
    write_json(told, asdict(made))
    return made


def _size_mb(folder: Path) -> float:
    files = (each for each in folder.rglob("*") if each.is_file() and not each.is_symlink())
    return sum(each.stat().st_size for each in files) / 1e6


def whole_mb(names: Iterable[str]) -> float:
    """On disk, distributions of the environment that runs this, with all that they require."""
    seen: dict[str, float] = {}
    waiting = [_canonical(each) for each in names]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another system, or of an extra that nobody asked for
        files = (Path(str(each.locate())) for each in found.files or ())
        seen[name] = sum(each.stat().st_size for each in files if each.is_file()) / 1e6
        waiting += [_canonical(each) for each in found.requires or () if "extra ==" not in each]
    return sum(seen.values())


def _canonical(requirement: str) -> str:
    """The name that a requirement begins with."""
    found = re.match(r"[\w.-]+", requirement)
    assert found
    return re.sub(r"[-_.]+", "-", found[0]).lower()
