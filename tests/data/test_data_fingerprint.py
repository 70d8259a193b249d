from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgedistill.data import fingerprint
from edgedistill.errors import UserError
from edgedistill.recipe import (
    ArraysData,
    Augment,
    DigitsData,
    FolderData,
    FunctionData,
    HuggingFaceData,
    TorchvisionData,
)


def test_digits_follow_their_config():
    first = DigitsData(source="digits")
    assert fingerprint(first) == fingerprint(DigitsData(source="digits"))
    assert fingerprint(first) != fingerprint(DigitsData(source="digits", image_size=8))
    changed = DigitsData(source="digits", augment=Augment(flip=True), workers=3)
    assert fingerprint(first) == fingerprint(changed)


def test_a_folder_follows_its_files(make_folder):
    root = make_folder("train", cat=2, dog=2)
    data = FolderData(source="folder", train=root, image_size=8)
    before = fingerprint(data)
    assert fingerprint(data) == before
    os.utime(root / "cat" / "0.png", ns=(1, 1))
    assert fingerprint(data) != before


def test_a_file_follows_its_bytes_wherever_it_lies(tmp_path):
    def of(name: str, value: int) -> str:
        path = tmp_path / name
        np.savez(path, images=np.full((2, 8, 8), value, np.uint8), labels=[0, 1])
        return fingerprint(ArraysData(source="arrays", train=path, test=path, image_size=8))

    assert of("a.npz", 0) == of("b.npz", 0)
    assert of("a.npz", 0) != of("b.npz", 1)


def test_a_function_follows_its_module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    data = FunctionData(
        source="function", function="my_own_samples:f", classes=("a", "b"), image_size=8
    )
    with pytest.raises(UserError) as caught:
        fingerprint(data)
    assert caught.value.message == (
        "data.function: no module `my_own_samples` (from `my_own_samples:f`)"
    )
    module = tmp_path / "my_own_samples.py"
    module.write_text("f = 1")
    sys.path_importer_cache.clear()
    before = fingerprint(data)
    module.write_text("f = 2")
    assert fingerprint(data) != before
    assert "my_own_samples" not in sys.modules


def test_libraries_follow_name_and_version():
    hub = HuggingFaceData(source="huggingface", name="some/set", image_size=8)
    assert fingerprint(hub) != fingerprint(hub.model_copy(update={"name": "other/set"}))
    own = TorchvisionData(source="torchvision", name="CIFAR10", root=Path("a"), image_size=8)
    assert fingerprint(own) == fingerprint(own.model_copy(update={"root": Path("b")}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (FolderData(source="folder", train=Path("/no"), image_size=8), "folder not found: /no"),
        (
            ArraysData(source="arrays", train=Path("/no.npz"), test=Path("/no"), image_size=8),
            "file not found: /no.npz",
        ),
    ],
)
def test_what_is_missing(data, message):
    with pytest.raises(UserError) as caught:
        fingerprint(data)
    assert caught.value.message == message
    assert caught.value.hint == "check the path in `data`"


def test_taking_it_imports_nothing_heavy():
    script = (
        "import sys\n"
        "from edgedistill.data import fingerprint\n"
        "from edgedistill.recipe import DigitsData\n"
        "fingerprint(DigitsData(source='digits'))\n"
        "heavy = {'torch', 'pandas', 'pyarrow', 'sklearn', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_folder_follows_linked_folders_and_bears_a_link_to_nowhere(make_folder, tmp_path):
    root = make_folder("train", cat=2)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "1.png").write_bytes(b"one")
    (root / "linked").symlink_to(elsewhere)
    (root / "linked" / "nowhere.png").symlink_to(tmp_path / "none")
    data = FolderData(source="folder", train=root, image_size=8)
    before = fingerprint(data)
    (elsewhere / "2.png").write_bytes(b"two")
    assert fingerprint(data) != before
