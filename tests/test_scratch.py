"""What passes goes, whether its process ends or is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from edgedistill.scratch import scratch_folder, scratch_for_all


@pytest.fixture(autouse=True)
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_a_folder_is_there_as_long_as_it_is_needed(base: Path) -> None:
    with scratch_folder() as folder:
        (folder / "a").write_text("x")
        assert list(base.iterdir()) == [folder]
        assert folder.stat().st_mode & 0o077 == 0
    assert list(base.iterdir()) == []


def test_libraries_and_children_put_theirs_into_it(base: Path) -> None:
    with scratch_for_all():
        (folder,) = base.iterdir()
        child = f"{sys.executable} -c 'import tempfile; print(tempfile.mkdtemp())'"
        made = subprocess.run(child, shell=True, capture_output=True, text=True).stdout.strip()
        assert {Path(made).parent, Path(tempfile.mkdtemp()).parent} == {folder}
    assert list(base.iterdir()) == []
    assert (tempfile.gettempdir(), os.environ["TMPDIR"]) == (str(base), str(base))


HOLDING = (
    "import time\nfrom edgedistill.scratch import scratch_folder\n"
    "with scratch_folder() as folder:\n    print(folder, flush=True)\n    time.sleep(60)"
)


def test_what_a_killed_process_left_goes_and_what_is_in_use_stays(base: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", HOLDING], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    killed, alive = (Path(each.stdout.readline().strip()) for each in processes if each.stdout)
    processes[0].kill()
    processes[0].wait()
    others = [base / "edgedistill-cache", base / "edgedistill-scratch-mine"]
    for each in others:
        each.mkdir()
    with scratch_folder():
        assert not killed.exists()
        assert alive.exists() and all(each.exists() for each in others)
    processes[1].kill()
    processes[1].wait()


@pytest.mark.parametrize(("age", "stays"), [(0, True), (3600, False)])
def test_a_folder_that_is_not_locked_yet_is_given_time(base: Path, age: float, stays: bool) -> None:
    new = base / "edgedistill-new-abc"
    new.mkdir()
    (new / ".scratch").touch()
    os.utime(new, (time.time() - age,) * 2)
    with scratch_folder():
        assert new.exists() == stays
