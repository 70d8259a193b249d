"""Makes the little teachers that teacher_*.yaml learn from, out of scikit-learn's digits: the same
network of two layers in every format, a small transformer for Hugging Face's, and stored answers.

    python examples/make_teachers.py onnx tflite keras huggingface stored     # or some of them

They are written into `made` beside this file. Yours come from wherever they were trained.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MADE = Path(__file__).parent / "made"
SIDE = 16
Floats = NDArray[np.float32]


def digits() -> tuple[Floats, NDArray[np.int64]]:
    """(1797, 64) in 0..1, and their labels."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return (bunch.data / 16).astype(np.float32), bunch.target


@functools.cache
def network() -> tuple[Floats, Floats, Floats, Floats]:
    """Two layers' weights (inputs, outputs) and biases: 16x16 pixels, averaged to 8x8, to logits.
    It is trained on all digits; a teacher of yours should not have seen your test images."""
    from sklearn.neural_network import MLPClassifier

    found = MLPClassifier((64,), max_iter=60, random_state=0).fit(*digits())
    weights, biases = ([each.astype(np.float32) for each in some]
                       for some in (found.coefs_, found.intercepts_))  # fmt: skip
    return weights[0], biases[0], weights[1], biases[1]


def as_torch() -> Any:
    import torch
    from torch import nn

    layers = nn.Sequential(
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)
    )
    for layer, weight, bias in ((layers[2], *network()[:2]), (layers[4], *network()[2:])):
        layer.weight.data, layer.bias.data = torch.from_numpy(weight.T), torch.from_numpy(bias)
    return layers.eval()


def onnx() -> None:
    import torch

    pixels = torch.zeros(2, 1, SIDE, SIDE)
    torch.onnx.export(
        as_torch(), (pixels,), MADE / "teacher.onnx", dynamo=True, external_data=False,
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC},), verbose=False,
    )  # fmt: skip


def tflite() -> None:
    import litert_torch
    import torch

    model = litert_torch.convert(as_torch(), (torch.zeros(1, 1, SIDE, SIDE),))
    model.export(str(MADE / "teacher.tflite"))


def keras() -> None:
    from keras import Sequential, layers

    model = Sequential(
        [
            layers.Input((SIDE, SIDE, 1)),
            layers.AveragePooling2D(2),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.set_weights(list(network()))
    model.save(MADE / "teacher.keras")


def huggingface() -> None:
    """A folder with config.json, preprocessor_config.json and model.safetensors, as the hub's."""
    import torch
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

    torch.manual_seed(0)
    names = {number: str(number) for number in range(10)}
    config = ViTConfig(
        image_size=SIDE, patch_size=4, hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=96, hidden_dropout_prob=0.0, id2label=names,
        label2id={name: number for number, name in names.items()},
    )  # fmt: skip
    model = ViTForImageClassification(config)
    flat, labels = digits()
    small = torch.from_numpy(flat).reshape(-1, 1, 8, 8)
    pixels = torch.nn.functional.interpolate(small, (SIDE, SIDE)).expand(-1, 3, -1, -1) * 2 - 1
    wanted = torch.from_numpy(labels)
    steps = 600
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    for _ in range(steps):
        chosen = torch.randint(len(wanted), (64,))
        answers = model(pixel_values=pixels[chosen]).logits
        loss: Any = torch.nn.functional.cross_entropy(answers, wanted[chosen])
        loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    side = {"height": SIDE, "width": SIDE}
    model.save_pretrained(MADE / "vit")
    ViTImageProcessor(
        size=side, image_mean=[0.5] * 3, image_std=[0.5] * 3
    ).save_pretrained(MADE / "vit")  # fmt: skip


def answers_to(flat: Floats) -> Floats:
    """Probabilities (images, 10) for images (images, 64) in 0..1."""
    first, bias, second, last = network()
    logits = np.maximum(flat @ first + bias, 0) @ second + last
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities: Floats = raised / raised.sum(axis=1, keepdims=True)
    return probabilities


def stored() -> None:
    """Answers about all digits, each under its number in the data's own order."""
    import pyarrow
    import pyarrow.parquet

    found = answers_to(digits()[0])
    table = pyarrow.table({"sample": np.arange(len(found)), "probabilities": list(found)})
    pyarrow.parquet.write_table(table, MADE / "answers.parquet")


KINDS = {"onnx": onnx, "tflite": tflite, "keras": keras, "huggingface": huggingface,
         "stored": stored}  # fmt: skip


def main() -> None:
    MADE.mkdir(exist_ok=True)
    for name in sys.argv[1:] or KINDS:
        KINDS[name]()
        print(f"made a teacher for teacher_{name}.yaml")


if __name__ == "__main__":
    main()
