"""Weights load strictly, and only from safetensors."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edgedistill.errors import UserError
from edgedistill.models import build
from edgedistill.models.weights import check, fit, read, shapes, without_pickles
from edgedistill.recipe import TorchvisionModel
from edgedistill.signature import image_inputs


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".pkl"])
def test_a_pickle_is_refused_with_the_way_to_convert_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"net{suffix}"
    path.write_bytes(pickle.dumps({}))
    with pytest.raises(UserError) as error:
        check(path)
    assert error.value.message == (
        f"weights: {path} is a pickle, which can run any code when loaded; refused"
    )
    assert error.value.hint.splitlines()[1:] == [
        "  import torch, safetensors.torch",
        f"  found = torch.load({str(path)!r}, weights_only=True)",
        "  found = found.get('state_dict', found)",
        "  tensors = {name: each.clone().contiguous() for name, each in found.items()}",
        "  safetensors.torch.save_file(tensors, 'net.safetensors')",
    ]


def test_the_way_to_convert_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(net().state_dict(), "net.pt")
    with pytest.raises(UserError) as error:
        check(tmp_path / "net.pt")
    exec("\n".join(line.strip() for line in error.value.hint.splitlines()[1:]))
    assert set(read(tmp_path / "net.safetensors")) == set(net().state_dict())


def test_a_renamed_pickle_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(UserError, match="is not a safetensors file"):
        check(path)


def test_a_cut_off_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file(net().state_dict(), path)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(UserError, match="cannot be read"):
        read(path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"weights: file not found: .*none\.safetensors"):
        check(tmp_path / "none.safetensors")


def test_misfits_are_listed() -> None:
    tensors = net().state_dict()
    tensors["0.weight"] = torch.zeros(8, 3, 3, 3)
    tensors["2.weight"] = tensors.pop("1.weight")
    with pytest.raises(UserError) as error:
        fit(net(), tensors, "w.safetensors")
    assert error.value.message == (
        "weights: w.safetensors does not fit the model:\n"
        "  missing: 1.weight [4]\n"
        "  unexpected: 2.weight [4]\n"
        "  shape: 0.weight is [8, 3, 3, 3], the model's is [4, 3, 3, 3]"
    )


def test_many_misfits_are_counted() -> None:
    big = nn.Sequential(*(nn.Linear(2, 2) for _ in range(6)))
    with pytest.raises(UserError) as error:
        fit(big, {}, "w")
    lines = error.value.message.splitlines()
    assert len(lines) == 10
    assert lines[-1] == "  and 4 more"


def test_a_common_prefix_is_named() -> None:
    tensors = {f"module.{name}": tensor for name, tensor in net().state_dict().items()}
    with pytest.raises(UserError) as error:
        fit(net(), tensors, "w")
    assert error.value.hint == (
        "every name in the file begins with `module.`: write it again without"
    )


@pytest.mark.parametrize("tracked", [True, False])
def test_counters_of_batch_norm_steps_may_be_absent(tracked: bool) -> None:
    module = net()
    tensors = {k: v + 1 for k, v in net().state_dict().items()}
    if not tracked:
        del tensors["1.num_batches_tracked"]
    fit(module, tensors, "w")
    assert torch.equal(module.state_dict()["0.weight"], tensors["0.weight"])


class Ran(Exception):
    """Code in a pickle was run."""


class Trap:
    def __reduce__(self) -> tuple[type[Ran], tuple[str]]:
        return Ran, ("by loading",)


def test_a_library_that_unpickles_weights_is_kept_from_running_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "net.pth"
    torch.save({"weight": Trap()}, path)

    def download(name: str, **_: object) -> nn.Module:
        torch.load(path, weights_only=False)
        return net()

    with pytest.raises(pickle.UnpicklingError), without_pickles():
        download("any")
    monkeypatch.setattr("torchvision.models.get_model", download)
    wanted = TorchvisionModel(family="torchvision", name="resnet18", pretrained=True)
    with pytest.raises(UserError, match="torchvision model `resnet18` cannot be made: Weights"):
        build(wanted, 4, image_inputs(3, 8, 8))


def test_tensors_are_loaded_still(tmp_path: Path) -> None:
    torch.save(net().state_dict(), tmp_path / "net.pth")
    with without_pickles():
        loaded = torch.load(tmp_path / "net.pth", weights_only=False)
    assert set(loaded) == set(net().state_dict())


def written(path: Path, header: object, content: bytes = b"", size: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if size is None else size).to_bytes(8, "little") + text + content)
    return path


def one(dtype: str = "F32", shape: object = (2,), offsets: object = (0, 8)) -> dict[str, object]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


@pytest.mark.parametrize(
    "header",
    [
        b"{", b"{}x", b"{\xff}", b"[]", {"a": 1}, {"a": None}, one("F33"), one(shape=(10**15,)),
        one(shape=(-2,)), one(shape="x"), one(offsets=(0, 10**15)), one(offsets=(8, 0)),
        one(offsets=(4, 12)), b'{"a":' * 10_000,
    ],
)  # fmt: skip
def test_headers_that_are_not_so(tmp_path: Path, header: object) -> None:
    path = written(tmp_path / "net.safetensors", header, bytes(8))
    for each in (read, shapes):
        with pytest.raises(UserError) as error:
            each(path)
        assert error.value.message.startswith(f"weights: {path}")
        assert error.value.hint


def test_a_header_that_claims_more_than_the_file_holds(tmp_path: Path) -> None:
    path = written(tmp_path / "net.safetensors", one(), bytes(8), size=10 << 30)
    with pytest.raises(UserError, match="is not a safetensors file"):
        read(path)


def test_shapes_are_told_without_the_tensors(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(2, 3, dtype=torch.bfloat16)}, tmp_path / "net.safetensors")
    assert shapes(tmp_path / "net.safetensors") == {"a": (2, 3)}


@pytest.mark.parametrize(
    ("tensor", "problem"),
    [
        (torch.full((4,), float("nan")), "1.weight are not all numbers (NaN)"),
        (torch.zeros(4, dtype=torch.int8), "1.weight are int8, the model's are float32"),
        (torch.zeros(4, dtype=torch.complex64), "1.weight are complex64, the model's are float32"),
    ],
)
def test_values_that_the_model_cannot_take(tensor: torch.Tensor, problem: str) -> None:
    tensors = net().state_dict() | {"1.weight": tensor}
    with pytest.raises(UserError) as error:
        fit(net(), tensors, "w")
    assert error.value.message == f"weights: w has values that the model cannot take:\n  {problem}"


def test_half_precision_fits() -> None:
    fit(net(), {name: tensor.half() for name, tensor in net().state_dict().items()
                if tensor.is_floating_point()}, "w")  # fmt: skip


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "net.safetensors")
    with pytest.raises(UserError, match="is no regular file"):
        check(tmp_path / "net.safetensors")


@pytest.mark.parametrize("wrap", [lambda tensors: tensors, lambda tensors: {"state_dict": tensors}])
def test_the_hint_about_pickles_converts_them(
    wrap: Callable[[object], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shared = torch.arange(6.0)
    tensors = {"a": torch.rand(2, 3, 4, 4).contiguous(memory_format=torch.channels_last),
               "b": shared, "c": shared.view(2, 3).T}  # fmt: skip
    torch.save(wrap(tensors), tmp_path / "net.pth")
    with pytest.raises(UserError) as caught:
        check(tmp_path / "net.pth")
    exec("\n".join(line.strip() for line in caught.value.hint.splitlines()[1:]), {})
    found = read(tmp_path / "net.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())
