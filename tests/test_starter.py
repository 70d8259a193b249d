"""What `edgedistill init` is pointed at may be anything."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from edgedistill.data.survey import Found
from edgedistill.errors import UserError
from edgedistill.recipe import load_recipe
from edgedistill.starter import suggested, text, write_recipe
from edgedistill.target import load_target


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


def folder_of(side: int, channels: int, count: int = 12, classes: int = 2) -> Path:
    """Bright and dark noise, a folder each."""
    random = np.random.default_rng(0)
    for label in range(classes):
        place = Path("pictures", f"class{label}")
        place.mkdir(parents=True)
        shape = (side, side) if channels == 1 else (side, side, 3)
        for number in range(count):
            pixels = random.integers(100 * label, 100 * label + 100, shape).astype(np.uint8)
            Image.fromarray(pixels).save(place / f"{number}.png")
    return Path("pictures")


@pytest.mark.parametrize(
    ("side", "channels", "teacher", "student"),
    [
        (28, 1, "resnet_cifar:14", {"family": "resnet_cifar", "depth": 8}),
        (32, 3, "resnet_cifar:14", {"family": "resnet_cifar", "depth": 20}),
        (80, 3, "torchvision:resnet18", {"family": "torchvision", "name": "mobilenet_v3_small",
                                         "pretrained": True}),
        (80, 3, "my_net:net", {"family": "torchvision", "name": "mobilenet_v3_small",
                               "pretrained": False}),
    ],
)  # fmt: skip
def test_a_student_is_suggested_by_the_images(
    side: int, channels: int, teacher: str, student: dict[str, object]
) -> None:
    data = folder_of(side, channels)
    notes = write_recipe(Path("r.yaml"), teacher, None, str(data), "android-arm64")
    assert "--student names another" in notes[0]
    found = load_recipe(Path("r.yaml")).student
    assert {key: getattr(found, key) for key in student} == student


def test_a_small_budget_gets_a_small_student() -> None:
    target = yaml.safe_load((Path(__file__).parents[1] / "targets/android-arm64.yaml").read_text())
    for kb, depth in ((1000, 20), (200, 14), (50, 8)):
        Path("t.yaml").write_text(yaml.safe_dump({**target, "budget": {"size_kb": kb}}))
        found = Found({}, ("a", "b"), 500, [(96, 96)], False)
        assert suggested(found, (96, 96), load_target("t.yaml"), False)["depth"] == depth


@pytest.mark.parametrize(
    ("student", "wanted"),
    [
        ("resnet_cifar:14", {"family": "resnet_cifar", "depth": 14, "shortcut": "conv"}),
        ("timm:resnet10t", {"family": "timm", "name": "resnet10t", "pretrained": False}),
        ("my_net:net", {"family": "function", "function": "my_net:net"}),
    ],
)
def test_a_student_is_given_by_name(student: str, wanted: dict[str, object]) -> None:
    notes = write_recipe(
        Path("r.yaml"), "resnet_cifar:20", None, "digits", "android-arm64", student
    )
    assert notes == []
    found = load_recipe(Path("r.yaml")).student
    assert {key: getattr(found, key) for key in wanted} == wanted


def test_a_student_that_is_none_is_said_to_be_one() -> None:
    with pytest.raises(UserError, match="--student resnet: not a model"):
        write_recipe(Path("r.yaml"), "resnet_cifar:20", None, "digits", "android-arm64", "resnet")


def test_weights_that_do_not_fit_leave_no_recipe() -> None:
    save_file({"a": torch.zeros(2)}, "net.safetensors")
    with pytest.raises(UserError, match="does not fit the model"):
        write_recipe(Path("r.yaml"), "torchvision:squeezenet1_1", Path("net.safetensors"), "digits",
                     "android-arm64")  # fmt: skip
    assert not Path("r.yaml").exists()


def test_images_are_as_large_as_the_models_take_them() -> None:
    for teacher, side in (("torchvision:squeezenet1_1", 32), ("torchvision:vit_b_32", 32),
                          ("torchvision:inception_v3", 96), ("resnet_cifar:8", 16)):  # fmt: skip
        out = Path(f"{side}.{len(teacher)}.yaml")
        write_recipe(out, teacher, None, "digits", "android-arm64", "resnet_cifar:8")
        assert load_recipe(out).data.image_size == (side, side)


@pytest.mark.slow
def test_what_is_written_runs_as_it_is(quickly: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgedistill.command_line import run

    folder_of(24, 3, count=20)
    words = "--target linux-x64 --cache cache"
    assert run("init --teacher resnet_cifar:8 --data pictures --target linux-x64".split()) == 0
    assert run(f"check recipe.yaml {words}".split()) == 0
    quick = [
        "contract={}", "stages.teacher.train.epochs=1", "stages.distill.epochs=2",
        "stages.quantize.epochs=1", "stages.export.precisions=[int8]", "stages.benchmark.runs=10",
        "stages.audit.corruption_samples=8",
    ]  # fmt: skip
    settings = [word for each in quick for word in ("--set", each)]
    assert run(["compile", "recipe.yaml", *words.split(), *settings]) == 0
    assert Path("pictures-linux-x64", "edgedistill.json").is_file()


@pytest.mark.parametrize(("few", "rate"), [(5_000, 0.0003), (10, 0.001)])
def test_what_is_pretrained_is_trained_on_gently(
    few: int, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text, "FEW", few)
    folder_of(80, 3)
    for out, teacher in (("a.yaml", "torchvision:resnet18"), ("b.yaml", "my_net:net")):
        write_recipe(Path(out), teacher, None, "pictures", "android-arm64")
    gentle, plain = (load_recipe(Path(out)).stages for out in ("a.yaml", "b.yaml"))
    for training in (gentle.teacher.train, gentle.distill):
        assert training is not None
        assert (training.optimizer, training.learning_rate) == ("adamw", rate)
        assert training.freeze_batch_norm == (few == 5_000)
    assert (plain.distill.optimizer, plain.distill.learning_rate) == ("sgd", 0.05)


@pytest.mark.parametrize("count", [12, 60])
def test_few_images_are_gone_over_until_the_steps_are_enough(count: int) -> None:
    folder_of(80, 3, count)
    write_recipe(Path("r.yaml"), "torchvision:resnet18", None, "pictures", "android-arm64")
    stages = load_recipe(Path("r.yaml")).stages
    assert stages.teacher.train is not None
    for training, steps in ((stages.teacher.train, 100), (stages.distill, 150)):
        # Of all images, before any are set aside.
        assert training.epochs * 2 * count / training.batch_size >= steps
        assert training.epochs * 2 * count / training.batch_size < steps + 2 * count


def test_images_of_one_size_keep_their_height_and_width() -> None:
    data = folder_of(28, 1)
    for path in data.rglob("*.png"):
        Image.open(path).resize((40, 24)).save(path)
    notes = write_recipe(Path("r.yaml"), "resnet_cifar:14", None, str(data), "android-arm64")
    assert "images of 24x40 pixels" in notes[0]
    assert load_recipe(Path("r.yaml")).data.image_size == (24, 40)
