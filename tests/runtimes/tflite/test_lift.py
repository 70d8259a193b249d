"""Attention over tokens of integers, which is computed in float between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.runtimes.litert import interpreter
from edgedistill.runtimes.tflite.convert import convert as to_tflite
from edgedistill.runtimes.tflite.file import File
from edgedistill.runtimes.tflite.layout import remove_transposes
from edgedistill.runtimes.tflite.transposes import moved_bytes, transposes
from edgedistill.signature import image_inputs
from edgedistill.target import Scheme

SIZE = 8


class Attentive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 2, 2)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, pixels: Tensor) -> Tensor:
        tokens = self.patches(pixels).flatten(2).transpose(1, 2)
        tokens = tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]
        logits: Tensor = self.head(tokens[:, 0])
        return logits


def answers(file: File) -> Any:
    runner = interpreter(file.pack(), 1, False)
    (given,), (result,) = runner.get_input_details(), runner.get_output_details()
    random = np.random.default_rng(0)
    found = []
    for _ in range(3):
        runner.set_tensor(given["index"], random.integers(-128, 128, given["shape"], np.int8))
        runner.invoke()
        found.append(runner.get_tensor(result["index"]).copy())
    return np.concatenate(found)


def test_integers_are_turned_and_not_the_floats_that_they_become() -> None:
    torch.manual_seed(0)
    prepared = prepare(fold(Attentive().eval(), image_inputs(3, SIZE, SIZE)), Scheme())
    calibrate(prepared, [(torch.rand(8, 3, SIZE, SIZE),)])
    content = to_tflite(convert(prepared), True)
    before, after = File(content), File(content)
    remove_transposes(after)
    # Queries, keys, values, the answer: each once, where the keys were turned twice.
    assert after.count()["TRANSPOSE"] == 4 < before.count()["TRANSPOSE"]
    assert {after.dtype(each.outputs[0]) for each in transposes(after)} == {"int8"}
    assert 2 * moved_bytes(after) < moved_bytes(before)
    makers = [after.producer(each.inputs[0]) for each in after.operators
              if after.kind(each) == "RESHAPE"]  # fmt: skip
    assert "RESHAPE" not in [after.kind(each) for each in makers if each is not None]
    np.testing.assert_array_equal(answers(after), answers(File(content)))
