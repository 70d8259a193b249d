"""A program comes back as it was kept, and a file names tensor operators or nothing at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from edgedistill import program_file
from edgedistill.artifact import BrokenSeal
from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.errors import UserError
from edgedistill.program import export, graph_of
from edgedistill.program_file import BadProgram
from edgedistill.signature import image_inputs
from edgedistill.target import Scheme

SIZE = 8


class Mixed(nn.Module):
    """Sizes that are computed, a constant, text that says how, a reshape."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4 * SIZE, 2)
        self.register_buffer("shift", torch.tensor([0.5]))

    def forward(self, pixels: Tensor) -> Tensor:
        x = nn.functional.gelu(self.conv(pixels) + self.shift, approximate="tanh")
        found: Tensor = self.linear(x.mean(3).reshape(x.shape[0], -1))
        return found


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("kept") / "float.program"
    program_file.save(fold(Mixed().eval(), image_inputs(3, SIZE, SIZE)), path)
    return path


@pytest.mark.parametrize("name", ["block1-0", "a b", "größe"])
def test_modules_may_be_called_anything(name: str, tmp_path: Path) -> None:
    model = nn.Sequential()
    model.add_module(name, nn.Conv2d(3, 2, SIZE))
    model.add_module("flat", nn.Flatten())
    program_file.save(fold(model.eval(), image_inputs(3, SIZE, SIZE)), tmp_path / "named")
    pixels = torch.rand(2, 3, SIZE, SIZE)
    loaded = graph_of(program_file.load(tmp_path / "named"))
    torch.testing.assert_close(loaded(pixels), model(pixels))


def test_a_program_comes_back_as_it_was(kept: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    program = fold(Mixed().eval(), image_inputs(3, SIZE, SIZE))
    loaded = program_file.load(kept)
    pixels = torch.rand(3, 3, SIZE, SIZE)
    first, second = map(graph_of, (program, loaded))
    assert torch.equal(first(pixels), second(pixels))
    assert [n.name for n in first.graph.nodes] == [n.name for n in second.graph.nodes]
    program_file.save(loaded, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == kept.read_bytes()


def test_so_does_a_quantized_one(kept: Path, tmp_path: Path) -> None:
    prepared = prepare(program_file.load(kept), Scheme(), ())
    calibrate(prepared, [(torch.rand(4, 3, SIZE, SIZE),)])
    quantized = convert(prepared)
    program_file.save(quantized, tmp_path / "int8.program")
    loaded = program_file.load(tmp_path / "int8.program")
    pixels = torch.rand(3, 3, SIZE, SIZE)
    first, second = map(graph_of, (quantized, loaded))
    assert torch.equal(first(pixels), second(pixels))


def changed(kept: Path, path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy whose graph was edited."""
    with safe_open(kept, "pt") as file:
        document = json.loads(file.metadata()["graph"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    change(document)
    save_file(tensors, path, {"graph": json.dumps(document)})
    return path


def named(document: dict[str, Any], op: str) -> dict[str, Any]:
    return next(row for row in document["nodes"] if row["op"] == op)


TARGETS = [
    "torch.os.system", "os.system", "_operator.attrgetter", "_operator.methodcaller", "aten.conv2d",
    "aten.nothing.default", "aten.__class__.default", "aten.conv2d.__call__", "prims.add.default",
    "quantized_decomposed..", "",
]  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_no_other_function_is_found(kept: Path, tmp_path: Path, target: str) -> None:
    path = changed(
        kept, tmp_path / "bad", lambda graph: named(graph, "call_function").update(target=target)
    )
    with pytest.raises(BadProgram, match=r"^.*: bad: "):
        program_file.load(path)


CODE = "__import__('os').system('touch " + "ran')"


@pytest.mark.parametrize(
    "change",
    [
        lambda row: row.update(target="aten.from_file.default", args=["ran", True, 4], kwargs={}),
        lambda row: row["kwargs"].update({f"x={CODE}, y": 1}),
        lambda row: row.update(name=f"x = {CODE}"),
        lambda row: row.update(name="lambda"),
        lambda row: row["args"].append({"eval": CODE}),
        lambda row: row["args"].append({"dtype": "os"}),
        lambda row: row["args"].append({"node": "none"}),
        lambda row: row.update(op="call_method", target="apply_"),
        lambda row: row.update(op="call_module", target=CODE),
        lambda row: row.update(op="get_attr", target=CODE),
    ],
)
def test_what_is_no_tensor_operator_is_refused_and_nothing_runs(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = changed(kept, tmp_path / "bad", lambda graph: change(named(graph, "call_function")))
    with pytest.raises(BadProgram):
        program_file.load(path)
    assert [each.name for each in tmp_path.iterdir()] == ["bad"]


def test_an_operator_of_ones_own_is_told_and_not_taken_for_damage(tmp_path: Path) -> None:
    @torch.library.custom_op("mine::twice", mutates_args=())
    def twice(x: Tensor) -> Tensor:
        return 2 * x

    twice.register_fake(torch.empty_like)

    class Own(nn.Module):
        def forward(self, pixels: Tensor) -> Tensor:
            found: Tensor = twice(pixels)
            return found

    program = export(Own(), image_inputs(3, SIZE, SIZE))
    with pytest.raises(
        UserError, match=r"cannot be kept: .*'mine\.twice\.default' is no tensor op"
    ):
        program_file.keep(program, tmp_path / "own")


def test_a_pickle_is_no_program(tmp_path: Path) -> None:
    torch.save({"graph": Mixed()}, tmp_path / "pickled")
    with pytest.raises(BrokenSeal, match=r"pickled: "):
        program_file.load(tmp_path / "pickled")


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=some.floats(0, 1, exclude_max=True), bits=some.integers(1, 255))
def test_a_damaged_file_is_told_or_still_a_program(
    kept: Path, tmp_path: Path, place: float, bits: int
) -> None:
    content = bytearray(kept.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    content[int(place * header)] ^= bits
    (tmp_path / "flipped").write_bytes(content)
    with suppress(BadProgram):
        program_file.load(tmp_path / "flipped")
