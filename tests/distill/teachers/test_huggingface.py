from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from asking import CLASSES, answers, batch, context

from edgedistill.distill.teachers import Teacher, huggingface, open_teacher
from edgedistill.distill.teachers.huggingface import class_order
from edgedistill.errors import UserError
from edgedistill.recipe import HuggingFaceTeacher

pytest.importorskip("transformers")

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.5, 0.2)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def write(folder: Path, labels: tuple[str, ...] = CLASSES, size: int = 8, **changes: Any) -> Any:
    """A vision transformer of one layer with weights drawn anew; the model itself."""
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=size,
        patch_size=4,
        id2label=dict(enumerate(labels)),
        label2id={label: number for number, label in enumerate(labels)},
    )
    model = ViTForImageClassification(config).eval()
    torch.nn.init.normal_(model.classifier.weight)
    model.save_pretrained(folder)
    side = {"height": size, "width": size}
    ViTImageProcessor(size=side, image_mean=MEAN, image_std=STD, **changes).save_pretrained(folder)
    return model


def expected(model: Any, images: torch.Tensor) -> Any:
    """Logits for uint8 images (batch, channels, height, width)."""
    mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (MEAN, STD))
    with torch.no_grad():
        return model(pixel_values=(images / 255 - mean) / std).logits.numpy()


def stored(pixels: Any) -> torch.Tensor:
    return torch.from_numpy(np.rint(pixels * 255).astype(np.uint8))


def teacher(folder: Path, backend: str = "torch", **changes: Any) -> Teacher:
    config = HuggingFaceTeacher.model_validate(
        {"family": "huggingface", "name": str(folder), "backend": backend}
    )
    return open_teacher(config, context(**changes))


def refusal(folder: Path, **changes: Any) -> UserError:
    with pytest.raises(UserError) as raised:
        teacher(folder, **changes)
    return raised.value


def test_a_folder_answers_as_its_model_does(tmp_path: Path) -> None:
    model, asked = write(tmp_path), batch()
    found = answers(teacher(tmp_path, "auto"), asked)
    assert np.allclose(found, expected(model, stored(asked.pixels)), atol=1e-5)


@pytest.mark.parametrize("resample", [2, 3], ids=["bilinear", "bicubic"])
def test_images_are_resized_as_its_processor_says(tmp_path: Path, resample: int) -> None:
    from torchvision.transforms.v2.functional import InterpolationMode, resize

    model, asked = write(tmp_path, size=16, resample=resample), batch()
    modes = {2: InterpolationMode.BILINEAR, 3: InterpolationMode.BICUBIC}
    images = resize(stored(asked.pixels), [16, 16], interpolation=modes[resample])
    found = answers(teacher(tmp_path), asked)
    assert np.allclose(found, expected(model, images), atol=1e-5)


def test_its_classes_are_put_into_the_datas_order(tmp_path: Path) -> None:
    model, asked = write(tmp_path, ("Ship", "Bird", "Cat")), batch()
    found = answers(teacher(tmp_path), asked)
    assert np.allclose(found, expected(model, stored(asked.pixels))[:, [1, 2, 0]], atol=1e-5)


def test_timm_models_have_a_processor_of_their_own(tmp_path: Path) -> None:
    timm, asked = pytest.importorskip("timm"), batch()
    model = timm.create_model("test_resnet", num_classes=3).eval()
    torch.nn.init.normal_(model.fc.weight)
    named = {"label_names": list(CLASSES)}
    timm.models.save_for_hf(model, tmp_path, named, safe_serialization=True)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["model_args"]["num_classes"]  # which transformers gives a second time
    (tmp_path / "config.json").write_text(json.dumps(config))
    transforms = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
    with torch.no_grad():
        expected = model(transforms(torch.from_numpy(asked.pixels))).numpy()
    assert np.allclose(answers(teacher(tmp_path), asked), expected, atol=1e-4)


def test_classes_without_names_are_taken_in_their_order() -> None:
    assert class_order({0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}, CLASSES, "a") is None
    assert class_order(None, CLASSES, "a") is None


def test_other_classes_are_refused_with_both_lists() -> None:
    with pytest.raises(UserError) as raised:
        class_order({0: "bird", 1: "cat", 2: "truck"}, CLASSES, "owner/model")
    assert raised.value.message == (
        "owner/model: its 3 classes (bird, cat, truck) are not the data's 3 (bird, cat, ship)"
    )
    many = dict(enumerate("abcdefghijkl"))
    with pytest.raises(UserError, match=r"its 12 classes \(a, b, c, d, e, f, g, h, i, j, \.\.\.\)"):
        class_order(many, CLASSES, "owner/model")


def test_pickles_are_refused_with_the_way_to_convert_them(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    error = refusal(tmp_path)
    assert error.message == (
        f"{tmp_path}: its weights (pytorch_model.bin) are pickles, which can run any code when "
        "loaded; refused"
    )
    assert "use_safetensors=False).save_pretrained('teacher')" in error.hint


def test_a_model_without_a_trained_head_is_refused(tmp_path: Path) -> None:
    model = write(tmp_path)
    model.vit.save_pretrained(tmp_path)
    assert refusal(tmp_path).message == (
        f"{tmp_path}: has no weights for classifier.bias, classifier.weight"
    )


def test_a_name_that_leads_nowhere(tmp_path: Path) -> None:
    error = refusal(tmp_path / "nowhere")
    assert error.message.startswith(f"{tmp_path / 'nowhere'}: cannot be loaded: ")


def test_code_that_comes_with_a_model_is_not_run(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    config["model_type"] = "theirs"
    config["auto_map"] = {
        "AutoConfig": "theirs.Config",
        "AutoModelForImageClassification": "theirs.Model",
    }
    path.write_text(json.dumps(config))
    (tmp_path / "theirs.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    assert refusal(tmp_path).message.startswith(f"{tmp_path}: cannot be loaded: ")
    assert not (tmp_path / "ran").exists()


def test_images_of_other_channels_are_refused(tmp_path: Path) -> None:
    write(tmp_path)
    assert refusal(tmp_path, channels=1).message == (
        f"{tmp_path}: takes images of 3 channels, the data's have 1"
    )


def test_images_that_its_processor_leaves_too_large_are_refused(tmp_path: Path) -> None:
    write(tmp_path, do_resize=False)
    with pytest.raises(UserError) as raised:
        answers(teacher(tmp_path), batch(size=16))
    assert raised.value.message.startswith(f"{tmp_path}: cannot run on the data's images: ")


def test_auto_takes_what_is_quicker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    asked = batch()
    slow = answers(teacher(tmp_path), asked)

    def quick(name: str, context: Any) -> Any:
        return lambda pixels: np.zeros((len(pixels), 3), np.float32)

    monkeypatch.setattr(huggingface, "_openvino", quick)
    assert not answers(teacher(tmp_path, "auto"), asked).any()
    assert np.array_equal(answers(teacher(tmp_path), asked), slow)


def test_openvino_answers_as_torch_does(tmp_path: Path) -> None:
    pytest.importorskip("optimum.intel")
    model, asked = write(tmp_path, size=16), batch(size=16)
    found = answers(teacher(tmp_path, "openvino", size=16), asked)
    assert np.allclose(found, expected(model, stored(asked.pixels)), atol=1e-3)


def test_what_optimum_gives_is_no_torch_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys
    from types import SimpleNamespace

    model, asked = write(tmp_path, size=16), batch(size=16)

    def called(pixel_values: torch.Tensor) -> Any:
        with torch.no_grad():
            return model(pixel_values=pixel_values)

    exported = SimpleNamespace(from_pretrained=lambda name, **settings: called)
    monkeypatch.setitem(
        sys.modules, "optimum.intel", SimpleNamespace(OVModelForImageClassification=exported)
    )
    found = answers(teacher(tmp_path, "openvino", size=16), asked)
    assert np.allclose(found, expected(model, stored(asked.pixels)), atol=1e-5)


def test_optimum_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    write(tmp_path)
    monkeypatch.setitem(sys.modules, "optimum.intel", None)
    with pytest.raises(UserError) as raised:
        teacher(tmp_path, "openvino")
    assert raised.value.message.startswith("`backend: openvino` needs the package optimum-intel (")
    assert raised.value.hint == "pip install optimum-intel, or set `backend: torch`"
