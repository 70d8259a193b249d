"""Every target loads; a target that says what it cannot is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgedistill.errors import UserError
from edgedistill.target import load_target, target_files

NAMES = [
    "android-arm64",
    "android-arm64-old",
    "intel-openvino",
    "ios-arm64",
    "linux-x64",
    "linux-x64-vnni",
    "raspberry-pi-5",
    "web-wasm",
]


def test_the_targets_are_these() -> None:
    assert list(target_files()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_target_loads(name: str) -> None:
    target = load_target(name)
    assert target.name == name
    assert target.description
    assert target.primary == target.runtimes[0]


def test_an_unknown_target_names_the_nearest() -> None:
    with pytest.raises(UserError) as error:
        load_target("android-arm46")
    assert error.value.message == "unknown target `android-arm46`"
    assert error.value.hint == "did you mean `android-arm64`? A path to a .yaml file works too."


def test_a_users_own_target(tmp_path: Path) -> None:
    path = tmp_path / "board.yaml"
    path.write_text("description: Our board.\nisa: aarch64\nruntimes: [litert]\n")
    target = load_target(str(path))
    assert (target.name, target.runtimes, target.scheme.weight_bits) == ("board", ("litert",), 8)


def test_a_wrong_target_lists_its_mistakes(tmp_path: Path) -> None:
    path = tmp_path / "board.yaml"
    path.write_text(
        "description: Ours.\nisa: aarch65\nruntimes: []\nscheme: {weight_bits: 4, per_chanel: 1}\n"
    )
    with pytest.raises(UserError) as error:
        load_target(str(path))
    assert error.value.message.splitlines() == [
        f"{path}: isa: unknown value `aarch65`; did you mean `aarch64`?",
        f"{path}: runtimes: needs at least 1 (got 0)",
        f"{path}: scheme.weight_bits: input should be 7 or 8 (got 4)",
        f"{path}: scheme: unknown key `per_chanel`; did you mean `per_channel`?",
    ]


def test_a_missing_target_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="target file not found"):
        load_target(str(tmp_path / "none.yaml"))


def test_a_scheme_that_a_runtime_cannot_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "{description: mine, isa: aarch64, runtimes: [litert], scheme: {weight_symmetric: false}}"
    )
    with pytest.raises(UserError, match="weight_symmetric: false` is nothing that litert reads"):
        load_target(str(path))
