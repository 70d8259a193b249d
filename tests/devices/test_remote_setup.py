from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from edgedistill.devices.emulator import needs, steps, wheels
from edgedistill.devices.emulator.steps import Say, Step
from edgedistill.devices.findings import Finding
from edgedistill.devices.remote import setup as remote
from edgedistill.errors import UserError

of_emulator = import_module("edgedistill.devices.emulator.setup")


@pytest.fixture(autouse=True)
def steps_that_fetch_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(place: str, what: str, wanted: dict[str, str]) -> Step:
        def make(into: Path, say: Say) -> dict[str, str]:
            (into / "file").write_text(what)
            return wanted

        return Step(place, what, wanted, make)

    libraries = step("aarch64/lib", "a C library", {"libc6": "2"})
    runtimes = {"litert": step("aarch64/python/ai_edge_litert", "LiteRT", {"ai-edge-litert": "9"})}
    monkeypatch.setenv("EDGEDISTILL_DEVICES", str(tmp_path / "private"))
    monkeypatch.setattr(of_emulator, "libraries_step", lambda: libraries)
    monkeypatch.setattr(wheels, "runtime_steps", lambda: runtimes)
    monkeypatch.setattr(needs, "programs", lambda: [])
    monkeypatch.setattr("edgedistill.devices.native.runner", lambda isa: Path(f"/runner/{isa}"))


def test_set_up_is_seen_and_says_what_arm64_devices_are_given() -> None:
    assert remote.for_arm64() == Finding(
        "for arm64 devices", False, "not set up: a C library, LiteRT",
        "`edgedistill device setup adb`",
    )  # fmt: skip
    assert remote.versions("aarch64") == {}
    said: list[str] = []
    remote.setup(said.append)
    assert said[-1] == "the runner for aarch64: /runner/aarch64"
    assert remote.for_arm64() == Finding("for arm64 devices", True, "set up")
    assert remote.versions("aarch64") == remote.versions("x86_64") == {"ai-edge-litert": "9"}
    assert steps.is_current(of_emulator.libraries_step())


def test_what_set_up_needs_and_is_not_here_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    missing: Callable[[], list[Finding]] = lambda: [  # noqa: E731
        Finding("cc", False, "cc is not on PATH", "apt-get install gcc"),
        Finding("pip", True, "here"),
    ]
    monkeypatch.setattr(needs, "programs", missing)
    with pytest.raises(UserError) as raised:
        remote.setup(print)
    assert raised.value.message == "arm64 devices cannot be set up for: cc is not on PATH"
    assert raised.value.hint == "apt-get install gcc"
