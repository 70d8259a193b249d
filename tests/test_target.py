"""Every target loads; a target that says what it cannot is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgedistill.errors import UserError
from edgedistill.target import Target, check_names, load_target, target_files

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


def _mistakes(tmp_path: Path, text: str | bytes) -> list[str]:
    path = tmp_path / "mine.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as error:
        load_target(str(path))
    return [line.removeprefix(f"{path}: ") for line in error.value.message.splitlines()]


@pytest.mark.parametrize(
    "name",
    ["../../escaped", "/tmp/x", "", ".", "..", "a/b", "x" * 300, "a\\x07b", "a b", "é", "a\\n",
     "~", "a\\0b", "\\ud800"],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_said(tmp_path: Path, name: str) -> None:
    found = _mistakes(
        tmp_path, f'{{name: "{name}", description: d, isa: aarch64, runtimes: [litert]}}'
    )
    assert len(found) == 1
    assert "name: " in found[0] or "no Unicode text" in found[0]


def test_a_files_own_name_is_held_to_the_same(tmp_path: Path) -> None:
    path = tmp_path / "my board.yaml"
    path.write_text("{description: d, isa: aarch64, runtimes: [litert]}")
    with pytest.raises(UserError, match=r"name: string should match pattern .* \(got 'my board'"):
        load_target(str(path))


def test_what_is_listed_twice_is_said(tmp_path: Path) -> None:
    assert _mistakes(
        tmp_path,
        "{description: d, isa: aarch64, runtimes: [litert, litert], precisions: [int8, fp32, int8],"
        " features: [neon, neon]}",
    ) == [
        "features: `neon` is listed twice",
        "runtimes: `litert` is listed twice",
        "precisions: `int8` is listed twice",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a target is a mapping, got nothing"),
        ("- 1", "a target is a mapping, got a list"),
        (b"\xff", "is no UTF-8 text (byte 0)"),
        (b"#" * 2_000_000, "is larger than 1 MB, too large for target file"),
        ("a: !!int b", "line 1: not valid YAML: `b` is no int"),
    ],
)
def test_a_file_that_holds_no_target_is_said(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    assert _mistakes(tmp_path, text) == [message]


def test_a_pipe_or_a_folder_is_no_target(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    for name, kind in (("pipe", "no regular file"), ("folder", "a folder")):
        with pytest.raises(UserError, match=f"is {kind}; target file is meant"):
            load_target(str(tmp_path / f"{name}.yaml"))


def test_a_long_unknown_name_is_cut() -> None:
    with pytest.raises(UserError) as error:
        load_target("x" * 100_000)
    assert error.value.message == f"unknown target `{'x' * 80}...`"


def test_targets_of_one_name_are_told() -> None:
    def target(name: str, threads: int = 1) -> Target:
        return Target(
            name=name, description="", isa="aarch64", runtimes=("litert",), threads=threads
        )

    check_names([target("a"), target("b")])
    with pytest.raises(UserError) as error:
        check_names([target("a"), target("b"), target("a", 2)])
    assert error.value.message == (
        "targets 1 and 3 are both named `a`, and each one's bundle goes into a folder of its "
        "target's name"
    )
    with pytest.raises(UserError, match="the target `a` is given twice"):
        check_names([target("a"), target("a")])
