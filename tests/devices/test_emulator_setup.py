"""Setting up without the network: steps, what is fetched by stand-ins, and what is told."""

from __future__ import annotations

import fcntl
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from edgedistill.devices.emulator import debian, needs, open_device, wheels
from edgedistill.devices.emulator.setup import plugin_api
from edgedistill.devices.emulator.steps import MANIFEST, Say, Step, call, is_current, take
from edgedistill.errors import UserError


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "devices"
    monkeypatch.setenv("EDGEDISTILL_DEVICES", str(folder))
    return folder


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


class Made:
    """Counts how often a step was made."""

    def __init__(self, text: str = "one", fails: BaseException | None = None) -> None:
        self.times, self.text, self.fails = 0, text, fails

    def __call__(self, into: Path, say: Say) -> Mapping[str, str]:
        self.times += 1
        (into / "inner").mkdir()
        (into / "inner" / "file").write_text(self.text)
        if self.fails is not None:
            raise self.fails
        return {"version": "1"}

    def step(self, **wanted: str) -> Step:
        return Step("aarch64/thing", "the thing", wanted, self)


def quiet(_: str) -> None:
    pass


def test_a_step_is_taken_once_and_said(root: Path) -> None:
    made, said = Made(), list[str]()
    for _ in range(2):
        take([made.step(version="1")], said.append)
    assert made.times == 1
    assert said[0] == "1/1 the thing ..."
    assert re.fullmatch(r"1/1 the thing: 0\.0 MB in \d s", said[1])
    assert said[2:] == ["1/1 the thing: there already"]
    assert (root / "aarch64/thing/inner/file").read_text() == "one"
    row = json.loads((root / MANIFEST).read_text())["aarch64/thing"]
    assert row["wanted"] == row["got"] == {"version": "1"}
    assert list(row["files"]) == ["inner/file"]


def test_what_is_damaged_or_wanted_anew_is_made_anew(root: Path) -> None:
    made = Made()
    take([made.step(version="1")], quiet)
    (root / "aarch64/thing/inner/file").write_text("two")
    take([made.step(version="1")], quiet)
    (root / "aarch64/thing/more").touch()
    take([made.step(version="1")], quiet)
    assert made.times == 3
    assert is_current(made.step(version="1"))
    assert not is_current(made.step(version="2"))
    take([made.step(version="2")], quiet)
    assert made.times == 4
    (root / MANIFEST).write_text("{")
    take([made.step(version="2")], quiet)
    assert made.times == 5


@pytest.mark.parametrize("fails", [UserError("no network"), KeyboardInterrupt()])
def test_a_step_that_is_interrupted_leaves_nothing_and_those_before_it_stay(
    root: Path, fails: BaseException
) -> None:
    first, second = Made(), Made("half", fails)
    steps = [first.step(), Step("aarch64/other", "the other", {}, second)]
    with pytest.raises(type(fails)):
        take(steps, quiet)
    assert sorted(path.name for path in root.iterdir()) == [".lock", "aarch64", "emulator"]
    assert [path.name for path in (root / "aarch64").iterdir()] == ["thing"]
    second.fails = None
    take(steps, quiet)
    assert (first.times, second.times) == (1, 2)
    assert (root / "aarch64/other/inner/file").read_text() == "half"


def test_two_do_not_set_up_at_once(root: Path) -> None:
    root.mkdir()
    with (root / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UserError) as got:
            take([], quiet)
    assert str(got.value) == (
        f"{root}: another process sets devices up there\nhint: wait until it has ended"
    )


def test_a_program_that_fails_or_hangs_is_told_by_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^making it: no such thing\nhint: look again$"):
        call(["sh", "-c", "echo said; echo 'no such thing' >&2; exit 3"], "making it", "look again")
    with pytest.raises(UserError, match=r"^making it: has not ended within 0\.2 s"):
        call(["sleep", "30"], "making it", "look again", patience=0.2)
    assert call(["pwd"], "where", "", folder=tmp_path) == f"{tmp_path}\n"


APT = """
case "$*" in
*madison*) echo " $4 | VERSION | somewhere" ;;
*download*) touch "${5%%=*}.deb"; echo "$5" >> LOG ;;
*update*) grep -c 'Architecture "arm64"' "$2" >> LOG ;;
esac
"""
DPKG = """
mkdir -p "$3/usr/lib/aarch64-linux-gnu"
for name in NAMES; do echo "$2" > "$3/usr/lib/aarch64-linux-gnu/$name"; done
"""


def debian_of(programs: Path, versions: Mapping[str, str]) -> Path:
    """apt and dpkg as they would answer; returns what they were asked for."""
    log = programs / "log"
    cases = "\n".join(f'[ "$4" = {name} ] && V={each}' for name, each in versions.items())
    apt = APT.replace("LOG", str(log)).replace("VERSION", "$V")
    for name in ("apt-get", "apt-cache"):
        program(programs, name, f"PATH=/usr/bin:/bin\n{cases}\n{apt}")
    names = " ".join(debian.LIBRARIES)
    program(programs, "dpkg-deb", "PATH=/usr/bin:/bin\n" + DPKG.replace("NAMES", names))
    return log


def test_the_pinned_packages_are_taken(programs: Path, tmp_path: Path) -> None:
    log, said, into = debian_of(programs, debian.PACKAGES), list[str](), tmp_path / "lib"
    into.mkdir()
    assert debian.fetch(into, said.append) == debian.PACKAGES
    assert said == []
    assert log.read_text().split() == ["1", *(f"{k}={v}" for k, v in debian.PACKAGES.items())]
    assert {path.name for path in into.iterdir()} == set(debian.LIBRARIES)


def test_another_version_is_taken_and_said(programs: Path, tmp_path: Path) -> None:
    debian_of(programs, {**debian.PACKAGES, "libc6": "2.41-12"})
    said, into = list[str](), tmp_path / "lib"
    into.mkdir()
    assert debian.fetch(into, said.append)["libc6"] == "2.41-12"
    assert said == [
        f"    libc6 {debian.PACKAGES['libc6']} is not to be had here: 2.41-12 is taken. Counts may "
        "differ by about 1 % from those of the pinned one"
    ]


def test_apt_without_arm64_is_told(programs: Path, tmp_path: Path) -> None:
    program(programs, "apt-get", "exit 0")
    program(programs, "apt-cache", "exit 0")
    with pytest.raises(UserError, match=r"^apt offers no libc6 for arm64\nhint: "):
        debian.fetch(tmp_path, quiet)


def test_only_the_library_is_taken_out_of_a_wheel(tmp_path: Path) -> None:
    """LiteRT's accelerator for GPUs ends processes on old processors where LiteRT finds it."""
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as archive:
        for name in ("libLiteRt.so", "libLiteRtWebGpuAccelerator.so", "__init__.py"):
            archive.writestr(f"ai_edge_litert/{name}", name)
        into = tmp_path / "into"
        wheels._extract(archive, "ai_edge_litert/libLiteRt.so", "ai_edge_litert", into)
        assert [path.name for path in into.rglob("*")] == ["libLiteRt.so"]
        with pytest.raises(UserError, match="holds no other/lib"):
            wheels._extract(archive, "other/lib", "other", into)


def test_runtimes_are_those_installed_here(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"ai-edge-litert": "9.8.7"}
    monkeypatch.setattr(wheels, "version", found.get)
    (step,) = wheels.runtime_steps().values()
    assert step.place == "aarch64/python/ai_edge_litert"
    assert step.wanted == found


def test_all_that_is_missing_is_told_at_once(programs: Path) -> None:
    for name in ("cc", "dpkg-deb"):
        program(programs, name, "exit 0")
    with pytest.raises(UserError) as got:
        needs.check_needs()
    assert got.value.message == (
        "the emulator cannot be set up: qemu-aarch64 is not on PATH; aarch64-linux-gnu-gcc is not "
        "on PATH; apt-get is not on PATH"
    )
    assert "apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross" in got.value.hint
    assert "apt works on Debian and its kin" in got.value.hint


def test_a_qemu_without_plugins_is_none(programs: Path) -> None:
    program(programs, "qemu-aarch64", "echo usage")
    assert not needs.qemu().ok
    assert needs.qemu().told.endswith("takes no plugins, which count instructions")
    program(programs, "qemu-aarch64", "echo -plugin FILE")
    assert needs.qemu().ok


@pytest.mark.parametrize(
    ("version", "api"), [("7.2.22", 1), ("8.2.0", 1), ("9.0.1", 2), ("9.1.0", 3), ("10.0.2", 3)]
)
def test_qemus_plugin_interface_follows_its_version(version: str, api: int) -> None:
    assert plugin_api(version) == api


def test_a_device_that_is_not_set_up_says_how(programs: Path) -> None:
    program(programs, "qemu-aarch64", "echo '-plugin version 7.2.22'")
    with pytest.raises(UserError) as got:
        open_device("cortex-a76")
    assert got.value.message.startswith("emulator:cortex-a76 is not set up: Debian's C library")
    assert got.value.hint == "edgedistill device setup emulator"
