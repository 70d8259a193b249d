from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from edgedistill.costs.of_file import works_of_file
from edgedistill.costs.probe import Probe
from edgedistill.costs.probe_file import FORMS, Numbers, write, write_copies
from edgedistill.models.steps import Kind, Step
from edgedistill.models.work import Product
from edgedistill.runtimes import RUNTIMES
from edgedistill.runtimes.tflite.file import File

PROBES = [
    Probe("convolution", 8, 4, 9, 16), Probe("depthwise", 8, 1, 9, 16), Probe("linear", 8, 12),
    Probe("add", 32), Probe("mul", 32), Probe("relu", 32), Probe("logistic", 32),
    Probe("tanh", 32), Probe("softmax", 10), Probe("mean", 8, 1, 1, 16),
    Probe("max_pool", 8, 1, 4, 16), Probe("average_pool", 8, 1, 4, 16),
    Probe("pad", 7, 1, 1, 16), Probe("slice", 8, 1, 1, 16), Probe("strided_slice", 8, 1, 1, 12),
    Probe("concatenation", 7, 1, 1, 16),
]  # fmt: skip
BORDERS = [Probe("quantize", 32), Probe("dequantize", 32)]


@pytest.mark.parametrize(("numbers", "probes"), [("int8", PROBES + BORDERS), ("fp32", PROBES)])
def test_every_operator_runs(numbers: Numbers, probes: list[Probe], tmp_path: Path) -> None:
    path = tmp_path / "probes.tflite"
    content, signature = write(probes, numbers)
    path.write_bytes(content)
    loaded = RUNTIMES["litert"].load(path)
    assert loaded.signature == signature
    inputs = {each.name: np.zeros(each.of_batch(1), np.float32) for each in signature.inputs}
    answers = loaded.run(loaded.encode(inputs))
    assert set(answers) == {f"p{place}" for place in range(len(probes))}


@pytest.mark.parametrize(("numbers", "probes"), [("int8", PROBES + BORDERS), ("fp32", PROBES)])
def test_copies_give_a_number_each(numbers: Numbers, probes: list[Probe], tmp_path: Path) -> None:
    path = tmp_path / "probes.tflite"
    for probe in probes:
        content, signature = write_copies(probe, numbers, 3)
        path.write_bytes(content)
        loaded = RUNTIMES["litert"].load(path)
        inputs = {each.name: np.zeros(each.of_batch(1), np.float32) for each in signature.inputs}
        answers = loaded.run(loaded.encode(inputs))
        assert [each.size for each in answers.values()] == [1, 1, 1]
        kinds = File.read(path).count()
        assert kinds[FORMS[probe.kind].name] == (6 if probe.kind == "slice" else 3)


def test_every_kind_has_a_form() -> None:
    assert set(FORMS) == {"convolution", "depthwise", "linear", *get_args(Kind)}


def test_a_file_gives_its_work(tmp_path: Path) -> None:
    path = tmp_path / "probes.tflite"
    path.write_bytes(write([PROBES[0], PROBES[1], PROBES[2], PROBES[5], PROBES[10]], "int8")[0])
    numbers, found = works_of_file(path)
    assert numbers == "int8"
    assert [work for _, work in found] == [
        Product(1, 8, 4, 9, 16), Product(8, 1, 1, 9, 16), Product(1, 8, 12, 1, 1),
        Step("add", 32, 1), Step("relu", 32, 1), Step("max_pool", 8, 16, 4),
    ]  # fmt: skip


def test_a_file_gives_what_moves_memory(tmp_path: Path) -> None:
    path = tmp_path / "probes.tflite"
    path.write_bytes(write([PROBES[2], *PROBES[12:]], "int8")[0])
    _, found = works_of_file(path)
    assert [work for _, work in found[1:]] == [
        Step("pad", 7, 16), Step("slice", 8, 16), Step("strided_slice", 8, 12),
        Step("concatenation", 7, 16),
    ]  # fmt: skip
