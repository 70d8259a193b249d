"""torchdistill's side of `benchmarks.peers`: run by the Python that has torchdistill.

As in its own examples for CIFAR-10 (`KDLoss`, SGD, a teacher that runs along, torchvision's
transforms), with this project's settings where they differ: the same models, batches, losses'
weights, decay and cosine. Reads commands from stdin: `epoch` trains one and answers with its
seconds, `validation` or `test` with the accuracy there.

    python -m benchmarks.torchdistill_side FOLDER SEED EPOCHS fp32|bf16 LEARNING_RATE
"""

from __future__ import annotations

import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, RandomSampler
from torchvision import transforms

from edgedistill.models import fresh, load


class Pictures(Dataset[Any]):
    def __init__(self, images: Any, labels: Any, transform: Any) -> None:
        from PIL import Image

        self._pictures = [Image.fromarray(image) for image in images]
        self._labels, self._transform = labels.tolist(), transform

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: int) -> Any:
        return self._transform(self._pictures[index]), self._labels[index]


def box(folder: Path, epochs: int, channels_last: bool, rate: float) -> Any:
    from torchdistill.core.distillation import get_distillation_box

    settings = json.loads((folder / "settings.json").read_text())
    layout = torch.channels_last if channels_last else torch.contiguous_format
    teacher = load(Path(settings["teacher"])).to(memory_format=layout)
    student = fresh(Path(settings["student"])).to(memory_format=layout)
    with np.load(folder / "train.npz") as kept:
        train = Pictures(kept["images"], kept["labels"], transforms.Compose([
            transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
        ]))  # fmt: skip
    place = {"module_path": ".", "module_io": "output"}
    loss = {f"{side}_{key}": value for side in ("student", "teacher")
            for key, value in place.items()}  # fmt: skip
    loss |= {"temperature": settings["temperature"], "alpha": settings["labels_weight"]}
    return get_distillation_box(
        teacher, student, {"train": train},
        {
            "num_epochs": epochs,
            "train_data_loader": {
                "dataset_id": "train",
                "sampler": {"class_or_func": RandomSampler},
                "kwargs": {"batch_size": settings["batch_size"], "drop_last": True,
                           "num_workers": settings["workers"]},
            },
            "teacher": {"forward_proc": "forward_batch_only", "requires_grad": False},
            "student": {"forward_proc": "forward_batch_only"},
            "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": {
                "kd": {"criterion": {"key": "KDLoss", "kwargs": loss}, "weight": 1.0}}}},
            "optimizer": {"key": "SGD", "kwargs": {
                "lr": rate, "momentum": 0.9, "nesterov": True,
                "weight_decay": settings["weight_decay"]}},
            "scheduler": {"key": "CosineAnnealingLR", "kwargs": {"T_max": epochs}},
        },
        torch.device("cpu"), None, False, 1,
    )  # fmt: skip


def train_epoch(made: Any, number: int, bf16: bool) -> float:
    layout = torch.channels_last if bf16 else torch.contiguous_format
    started = time.monotonic()
    made.teacher_model.eval()
    made.pre_epoch_process(epoch=number)
    for pixels, labels, more in made.train_data_loader:
        pixels = pixels.to(memory_format=layout)
        made.pre_forward_process()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = made.forward_process(pixels, labels, more)
        made.post_forward_process(loss)
    made.post_epoch_process()
    return time.monotonic() - started


def tested(made: Any, file: Path) -> float:
    with np.load(file) as kept:
        images, labels = kept["images"], kept["labels"]
    model, right = made.student_model.eval(), 0
    with torch.no_grad():
        for start in range(0, len(images), 500):
            part = images[start : start + 500].transpose(0, 3, 1, 2).astype(np.float32) / 255
            answers = model(torch.from_numpy(part)).argmax(dim=1).numpy()
            right += int((answers == labels[start : start + 500]).sum())
    return 100.0 * right / len(images)


def main() -> None:
    folder, seed, epochs, precision, rate = sys.argv[1:]
    logging.disable(logging.INFO)
    torch.manual_seed(int(seed))
    made = box(Path(folder), int(epochs), precision == "bf16", float(rate))
    done = 0
    for line in sys.stdin:
        if line.strip() == "epoch":
            told: Any = train_epoch(made, done, precision == "bf16")
            done += 1
        else:
            told = tested(made, Path(folder, f"{line.strip()}.npz"))
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
