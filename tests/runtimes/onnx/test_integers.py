from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from exported import Exported, answers

from edgedistill.runtimes import RUNTIMES, Spec
from edgedistill.runtimes.onnx.integers import make_unsigned


@pytest.fixture
def both(exported_in_7_bits: Exported, tmp_path: Path) -> tuple[Path, Path]:
    """A signed file and an unsigned one, of weights that no kernel saturates on."""
    program = exported_in_7_bits.program("int8")
    paths = tmp_path / "signed.onnx", tmp_path / "unsigned.onnx"
    for path, form in zip(paths, ("signed", "unsigned"), strict=True):
        spec = Spec("int8", ("a",), "integer", integers=form)  # type: ignore[arg-type]
        RUNTIMES["onnxruntime"].write(program, path, spec)
    return paths


def test_an_unsigned_file_takes_and_gives_what_a_signed_one_does(
    both: tuple[Path, Path], exported_in_7_bits: Exported
) -> None:
    signed, unsigned = (RUNTIMES["onnxruntime"].load(path) for path in both)
    assert signed.signature == unsigned.signature
    native = signed.encode({"pixels": exported_in_7_bits.pixels()})
    steps = [each.run(native)["logits"].astype(int) for each in (signed, unsigned)]
    assert np.abs(steps[0] - steps[1]).max() <= 1
    scale = signed.signature.outputs[0].scale
    graph = answers(exported_in_7_bits.program("int8"), exported_in_7_bits.pixels())
    reals = unsigned.answer({"pixels": exported_in_7_bits.pixels()})["logits"]
    assert scale is not None
    assert np.abs(reals - graph).max() <= 1.01 * scale


def test_plain_kernels_compute_the_same_of_both(
    both: tuple[Path, Path], exported_in_7_bits: Exported
) -> None:
    plain = [RUNTIMES["onnxruntime"].load(path, optimize=False) for path in both]
    native = plain[0].encode({"pixels": exported_in_7_bits.pixels()})
    assert np.array_equal(*(each.run(native)["logits"] for each in plain))


def test_reals_at_the_boundary_stay_reals(exported_in_7_bits: Exported, tmp_path: Path) -> None:
    program, given = exported_in_7_bits.program("int8"), exported_in_7_bits.pixels()
    answered = []
    for form in ("signed", "unsigned"):
        path = tmp_path / f"{form}.onnx"
        spec = Spec("int8", ("a",), "float", integers=form)  # type: ignore[arg-type]
        RUNTIMES["onnxruntime"].write(program, path, spec)
        loaded = RUNTIMES["onnxruntime"].load(path, optimize=False)
        answered.append(loaded.answer({"pixels": given})["logits"])
    assert np.array_equal(*answered)


def test_no_layer_of_an_unsigned_file_runs_in_float(both: tuple[Path, Path]) -> None:
    found = RUNTIMES["onnxruntime"].inspect(both[1])
    kinds = found["float_counts"]
    assert not set(kinds) & {"Conv", "Gemm", "Add", "GlobalAveragePool"}


def test_weights_stay_signed_and_pairs_of_7_bit_products_fit_into_16(
    both: tuple[Path, Path],
) -> None:
    graph = onnx.load(both[1]).graph
    stored = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    weights = [values for name, values in stored.items() if name.endswith("weight_int8")]
    assert weights
    assert all(each.dtype == np.int8 for each in weights)
    assert 2 * 255 * max(int(np.abs(each.astype(int)).max()) for each in weights) <= 2**15 - 1


def test_a_float_graph_has_nothing_to_shift(exported: Exported) -> None:
    model = onnx.load(exported.file("onnxruntime", "fp32"))
    before: Any = model.SerializeToString()
    assert not make_unsigned(model.graph)
    assert model.SerializeToString() == before
