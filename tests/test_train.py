from __future__ import annotations

import copy
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made import data_record

from edgedistill.artifact import Artifact
from edgedistill.data import ImageSplit, Split
from edgedistill.data.loading import epoch_order
from edgedistill.distill.store import Answers, Layout
from edgedistill.errors import UserError
from edgedistill.models import build
from edgedistill.recipe import Augment, Exits, Labels, ResidualModel, SoftTargets, Training
from edgedistill.signature import image_inputs
from edgedistill.train import learning_rate, train
from edgedistill.training_inputs import TrainingInputs, open_training_inputs

LABELS = (Labels(kind="labels"),)


def split(samples: int = 96) -> Split:
    """Two classes told apart by brightness."""
    random = np.random.default_rng(0)
    labels = np.arange(samples, dtype=np.int64) % 2
    images = random.integers(0, 128, (samples, 8, 8, 3)) + 127 * labels[:, None, None, None]
    return ImageSplit(images.astype(np.uint8), labels)


def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return build(
        ResidualModel(family="resnet_cifar", depth=8, widths=(8, 8, 8)), 2, image_inputs(3, 8, 8)
    )


def fit(network: torch.nn.Module, folder: Path, **changes: Any) -> dict[str, float]:
    config = Training(**{"epochs": 4, "batch_size": 16, "precision": "fp32", **changes})
    training_inputs = TrainingInputs(split(), Augment(shift=1, flip=True), seed=3)
    return train(
        training_inputs.objective(network, LABELS), training_inputs, config,
        checkpoint=folder / "run.safetensors", tick=lambda *_: None,
        deterministic=True,
    )  # fmt: skip


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_training_learns_an_easy_task(tmp_path: Path) -> None:
    network = model()
    metrics = fit(network, tmp_path)
    data = split()
    logits = network.eval()(torch.from_numpy(data.pixels(np.arange(96))))
    assert (logits.argmax(1).numpy() == data.labels).mean() > 0.95
    assert metrics["samples_seen"] == 4 * 96


def test_frozen_norms_keep_their_statistics_and_train_the_rest(tmp_path: Path) -> None:
    network = model()
    before = copy.deepcopy(network.state_dict())
    fit(network, tmp_path, freeze_batch_norm=True, learning_rate=0.01)
    after = network.state_dict()
    counted = {name for name in after if "running" in name or "num_batches" in name}
    assert counted
    for name, value in after.items():
        assert torch.equal(value, before[name]) == (name in counted), name


def test_from_labels_alone_only_what_is_labelled_is_trained_on(tmp_path: Path) -> None:
    full = split()
    labels = np.where(np.arange(96) < 32, full.labels, -1)
    (tmp_path / "data").mkdir()
    data_record().write(tmp_path / "data")
    folder = tmp_path / "data" / "train"
    folder.mkdir()
    for name, values in (("images", full.images), ("labels", labels), ("samples", labels)):
        np.save(folder / f"{name}.npy", values)
    inputs = {"data": Artifact(tmp_path / "data", "data", "")}
    training_inputs = open_training_inputs(inputs, LABELS, Augment(), 0, None)
    assert len(training_inputs) == 32
    seen: list[int] = []

    class Watching(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, pixels: Any, target: Any, *_: Any) -> torch.Tensor:
            seen.extend(target.tolist())
            return self.weight.sum()

    metrics = train(
        Watching(), training_inputs, Training(epochs=2, batch_size=16, precision="fp32"),
        checkpoint=tmp_path / "run.safetensors", tick=lambda *_: None,
    )  # fmt: skip
    assert metrics["samples_seen"] == len(seen) == 64
    assert min(seen) == 0
    # A loss that learns from more than labels has a use for the others.
    others = (*LABELS, Exits(kind="exits"))
    assert len(open_training_inputs(inputs, others, Augment(), 0, None)) == 96


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("ema", [None, 0.9])
def test_a_killed_run_ends_with_the_same_weights(
    tmp_path: Path, optimizer: str, ema: float | None
) -> None:
    undisturbed, killed = model(), model()
    options: dict[str, Any] = {
        "optimizer": optimizer, "ema": ema, "learning_rate": 0.01, "checkpoint_minutes": 1e-9
    }  # fmt: skip
    (tmp_path / "a").mkdir()
    fit(undisturbed, tmp_path / "a", **options)
    config = Training(epochs=4, batch_size=16, precision="fp32", **options)
    training_inputs = TrainingInputs(split(), Augment(shift=1, flip=True), seed=3)
    calls = []

    def die(share: float) -> None:
        calls.append(share)
        if len(calls) == 15:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "run.safetensors"
    with pytest.raises(KeyboardInterrupt):
        train(training_inputs.objective(killed, LABELS), training_inputs, config,
              checkpoint=checkpoint, tick=lambda *_: None, on_step=die,
              deterministic=True)  # fmt: skip
    again = model()
    fit(again, tmp_path, **options)
    assert same(undisturbed, again)


def slow(network: torch.nn.Module) -> torch.nn.Module:
    """With running statistics that hardly follow the weights."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.001
    return network


def quality(network: torch.nn.Module) -> float:
    data = split()
    with torch.no_grad():
        logits = network.eval()(torch.from_numpy(data.pixels(np.arange(96))))
    return float((logits.argmax(1).numpy() == data.labels).mean())


@pytest.mark.parametrize("ema", [None, 0.5])
def test_running_statistics_fit_the_weights_that_training_ends_with(
    tmp_path: Path, ema: float | None
) -> None:
    network = slow(model())
    fit(network, tmp_path, ema=ema, learning_rate=0.5)
    assert quality(network) > 0.95
    # The same weights, with statistics from elsewhere, of images without black borders.
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None
    data = split()
    with torch.no_grad():
        network.train()(torch.from_numpy(data.pixels(np.arange(96))))
    for name, value in network.state_dict().items():
        if name.endswith("running_mean"):
            assert torch.allclose(value, before[name], rtol=0.2, atol=0.2), name


def test_a_run_killed_in_its_last_moment_ends_with_the_same_statistics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, killed = slow(model()), slow(model())
    (tmp_path / "a").mkdir()
    fit(undisturbed, tmp_path / "a", ema=0.9)

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("edgedistill.batch_norm._Pool.store", die)
        with pytest.raises(KeyboardInterrupt):
            fit(killed, tmp_path, ema=0.9)
    again = slow(model())
    fit(again, tmp_path, ema=0.9)
    assert same(undisturbed, again)


def test_who_looks_after_each_epoch_sees_statistics_that_fit(tmp_path: Path) -> None:
    network, seen = slow(model()), []

    def look(_: int) -> None:
        seen.append(quality(copy.deepcopy(network).cpu()))

    training_inputs = TrainingInputs(split(), Augment(), seed=3)
    config = Training(epochs=4, batch_size=16, learning_rate=0.5, precision="fp32")
    train(training_inputs.objective(network, LABELS), training_inputs, config,
          checkpoint=tmp_path / "watched", tick=lambda *_: None, on_epoch=look)  # fmt: skip
    assert seen[-1] > 0.95
    again = slow(model())
    train(training_inputs.objective(again, LABELS), training_inputs, config,
          checkpoint=tmp_path / "alone", tick=lambda *_: None)  # fmt: skip
    assert same(network, again)


def test_a_student_without_batch_norm_is_asked_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgedistill.batch_norm.estimate", lambda *_: pytest.fail("asked"))
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2))
    fit(network, tmp_path)


def test_a_loss_that_is_no_number_stops_with_advice(tmp_path: Path) -> None:
    network = model()
    with torch.no_grad():
        network.linear.weight.fill_(float("nan"))
    with pytest.raises(UserError, match=r"the loss became nan at step \d+ of 24") as caught:
        fit(network, tmp_path, learning_rate=7)
    assert caught.value.hint == "lower the learning rate (now 7.0)"


def test_answers_of_the_right_view_are_used(tmp_path: Path) -> None:
    seen = []

    class Recording(Answers):
        def __call__(self, ids: Any, view: int) -> Any:
            seen.append(view)
            return super().__call__(ids, view)

    layout = Layout(2)
    records = np.stack(
        [layout.pack(view, np.arange(96), np.zeros((96, 2), np.float32), None) for view in (0, 1)]
    )
    training_inputs = TrainingInputs(split(), Augment(), 0, Recording(layout, records))
    config = Training(epochs=3, batch_size=48, precision="fp32")
    objective = training_inputs.objective(model(), (SoftTargets(kind="soft_targets"),))
    train(objective, training_inputs, config, checkpoint=tmp_path / "r", tick=lambda *_: None)
    assert seen == [0, 0, 1, 1, 2, 2]


@given(st.integers(2, 200), st.integers(1, 50), st.integers(0, 5))
def test_an_epoch_visits_no_sample_twice(samples: int, batch: int, epoch: int) -> None:
    batch = min(batch, samples)
    order = epoch_order(samples, batch, 0, epoch)
    visited = np.concatenate(order)
    assert len(set(visited.tolist())) == len(visited) == samples // batch * batch


@given(st.integers(2, 1000), st.floats(0, 0.9))
def test_the_learning_rate_rises_then_falls_to_nothing(steps: int, warmup: float) -> None:
    config = Training(warmup=warmup, learning_rate=0.5)
    rates = [learning_rate(step, steps, config) for step in range(steps)]
    top = int(np.argmax(rates))
    assert 0 < max(rates) <= 0.5
    assert all(a <= b for a, b in pairwise(rates[: top + 1]))
    assert all(a >= b for a, b in pairwise(rates[top:]))
