"""What `edgedistill init` is pointed at may be anything."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgedistill.errors import UserError
from edgedistill.recipe import load_recipe
from edgedistill.starter import write_recipe


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refusal(out: str = "r.yaml", teacher: str = "resnet_cifar:20", data: str = "digits") -> str:
    with pytest.raises(UserError) as caught:
        write_recipe(Path(out), teacher, None, data, "android-arm64")
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize(
    "teacher",
    ["", ":", "resnet_cifar:", "resnet_cifar:" + "9" * 5000, "resnet_cifar:3", "resnet_cifar:x",
     "a\0b.safetensors", "x" * 300 + ".safetensors", "~nobody-here/a.safetensors", "a b:c"],
)  # fmt: skip
def test_teachers_that_are_none_leave_no_recipe(teacher: str) -> None:
    refusal(teacher=teacher)
    assert not Path("r.yaml").exists()


@pytest.mark.parametrize("data", ["x" * 300, "a\0b", "~nobody-here", "/dev/null", "pipe", "pipe/x"])
def test_data_that_are_none(data: str) -> None:
    os.mkfifo("pipe")
    assert refusal(data=data).startswith("--data ")


def test_a_damaged_file_of_weights_and_a_pipe_among_the_data() -> None:
    Path("net.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}" + b"x")
    assert refusal(teacher="net.safetensors").startswith("weights: net.safetensors")
    for suffix in ("parquet", "npz"):
        Path(suffix).mkdir()
        for split in ("train", "test"):
            os.mkfifo(f"{suffix}/{split}.{suffix}")
        assert "is no regular file" in refusal(data=suffix)


@pytest.mark.parametrize("out", ["x" * 300, "a\0b", "file/r.yaml", "loop/r.yaml", "loop"])
def test_a_recipe_that_cannot_be_written(out: str) -> None:
    Path("file").write_text("mine")
    Path("loop").symlink_to("loop")
    refusal(out=out)
    assert Path("file").read_text() == "mine"


def test_names_of_all_kinds_are_read_back() -> None:
    for name in ("a\nteacher: b", "b\u2028", "#"):
        folder = Path("\N{GRINNING FACE} true: x", name)
        folder.mkdir(parents=True)
        Image.fromarray(np.zeros((12, 12), np.uint8)).save(folder / "x.png")
    where = next(iter(Path().iterdir()))
    write_recipe(Path("r.yaml"), "timm:true", None, str(where), "android-arm64")
    recipe = load_recipe(Path("r.yaml"))
    assert recipe.data.source == "folder"
    assert recipe.data.train.resolve() == where.resolve()
    assert recipe.teacher.family == "timm"
    assert recipe.teacher.name == "true"
