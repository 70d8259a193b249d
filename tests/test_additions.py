"""A loss, a task, a model family, a teacher, a runtime and a device are added from outside the
package, each by one file and one line of a table."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TOYS = Path(__file__).parent / "toys"


@pytest.fixture(scope="module")
def added() -> dict[str, Any]:
    line = [sys.executable, str(TOYS / "add_them.py")]
    done = subprocess.run(line, capture_output=True, text=True, cwd=TOYS.parents[1], check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    ("kind", "came"),
    [
        ("loss", 2.0),
        ("task", [50.0, 0.6931, False]),
        ("family", [2, 10]),
        ("teacher", [0, 0, 0]),
        ("runtime", ["the signature", "model fp32: 7", {"TOY": 2}, None, True]),
        ("device", [6, 7.0, "a toy (none)"]),
    ],
)
def test_what_is_added_by_a_file_and_a_line_is_used(
    kind: str, came: Any, added: dict[str, Any]
) -> None:
    assert added[kind] == came
