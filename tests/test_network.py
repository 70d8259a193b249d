"""Nothing leaves the machine but what a recipe asks for: connects are counted by the kernel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.connects import can_count, counted, environment
from edgedistill.api import default_recipe

pytestmark = pytest.mark.skipif(not can_count(), reason="this system counts no connects")
QUICK = (
    "stages.teacher.train.epochs=1", "stages.teach.views=1", "stages.distill.epochs=1",
    "stages.prune=null", "stages.quantize.method=ptq", "stages.audit.corruption_samples=0",
    "stages.export.precisions=[int8]", "stages.benchmark.runs=10", "contract={}",
)  # fmt: skip
"""Every runtime and library that the default compile meets, and NNCF, in little time."""
ONE_ROUND = (
    "import sys\nfrom edgedistill.stages import benchmark\nbenchmark.ROUNDS = 1\n"
    "from edgedistill.__main__ import main\nmain(sys.argv[1:])"
)
"""The command line; each file is measured in one process rather than three."""


@pytest.mark.slow
def test_a_compile_connects_to_nobody_and_keeps_nothing_elsewhere(tmp_path: Path) -> None:
    line = [sys.executable, "-c", ONE_ROUND, "compile", str(default_recipe())]
    line += [word for each in QUICK for word in ("--set", each)]
    (tmp_path / "home").mkdir()
    found, code = counted(line, env=environment(tmp_path / "home"), cwd=tmp_path)
    assert code in (0, 1)
    assert found == []
    assert [each.name for each in (tmp_path / "home" / ".cache").iterdir()] == ["edgedistill"]


def test_what_would_report_is_switched_off_for_children_too() -> None:
    code = "import edgedistill, os, subprocess; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


@pytest.mark.parametrize("first", ["openvino"])
def test_what_reports_as_it_is_imported_does_not(first: str, tmp_path: Path) -> None:
    code = f"import edgedistill, {first}; import openvino; openvino.Core()"
    found, exit_code = counted([sys.executable, "-c", code], env=environment(tmp_path))
    assert (found, exit_code) == ([], 0)
    assert not any(tmp_path.iterdir())


def test_a_connect_would_have_been_counted(tmp_path: Path) -> None:
    code = (
        "import socket, subprocess, sys\n"
        "if len(sys.argv) == 1: subprocess.run([sys.executable, sys.argv[0], 'child'])\n"
        "for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):\n"
        "    try: socket.socket(socket.AF_INET, kind).connect(('127.0.0.1', 9))\n"
        "    except OSError: pass\n"
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.2', 9))\n"
    )
    (tmp_path / "reach.py").write_text(code)
    found, _ = counted([sys.executable, str(tmp_path / "reach.py")])
    assert found == 2 * ["127.0.0.1:9", "127.0.0.1:9", "127.0.0.2:9"]
