"""What the front end of a model of sound would lose in fewer bits: how far its log-mel values are
off on spoken digits of a speaker that it was not calibrated on, and how many of them a small net,
trained on the values of float32, still tells apart."""

from __future__ import annotations

import argparse
import copy
import io
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.common import DATA, write
from edgedistill.compress.fake_quantize import WeightFakeQuantize
from edgedistill.compress.fold import fold
from edgedistill.compress.quantize import calibrate, convert, prepare
from edgedistill.families.sound import DepthwiseModel
from edgedistill.models.ds_cnn import make
from edgedistill.models.front_end import FrontEnd
from edgedistill.program import graph_of
from edgedistill.signature import TensorSpec
from edgedistill.target import Scheme

LENGTH, BATCH, RATE = 16_000, 50, 0.003
INPUTS = (TensorSpec("samples", (None, LENGTH), range=(-1.0, 1.0)),)
MODEL = DepthwiseModel(family="ds_cnn", width=24, blocks=2)
_OF_A_FILTER = ("window", "cosine", "sine")
"""Constants that are multiplied value by value: one scale for each of these."""


def clips(name: str) -> tuple[Tensor, Tensor]:
    """Samples (clips, LENGTH) in -1..1, cut or padded, and labels (clips,)."""
    import pyarrow.parquet
    import soundfile
    import soxr

    rows = pyarrow.parquet.read_table(DATA / "data" / "spoken_digits" / f"{name}.parquet")
    found = []
    for stored in rows["audio"].to_pylist():
        content = stored["bytes"] if isinstance(stored, dict) else stored
        samples, rate = soundfile.read(io.BytesIO(content), dtype="float32")
        heard = torch.from_numpy(soxr.resample(samples, rate, LENGTH))[:LENGTH]
        found.append(functional.pad(heard, (LENGTH - len(heard), 0)))
    return torch.stack(found), torch.tensor(rows["label"].to_pylist())


def with_weights(front_end: nn.Module, change: Callable[[str, Tensor], Tensor]) -> nn.Module:
    """The front end with each constant as `change` leaves it, computed in float32."""
    made = copy.deepcopy(front_end)
    for name, value in made.named_buffers():
        if value.is_floating_point() and not name.startswith("norm."):
            value.copy_(change(name, value))
    return made


def in_int8(name: str, value: Tensor) -> Tensor:
    """Rounded to 8 bits, symmetrically, a matrix with one scale for each of its outputs."""
    grain = "tensor" if name in _OF_A_FILTER else "channel"
    rounding = WeightFakeQuantize(
        dtype=torch.int8, quant_min=-127, quant_max=127,
        qscheme=getattr(torch, f"per_{grain}_symmetric"), is_dynamic=False,
    )  # fmt: skip
    rounded: Tensor = rounding(value)
    return rounded


def all_in_int8(front_end: nn.Module, samples: Tensor) -> nn.Module:
    """The front end with every operator that has an integer form in it, ranges observed on
    samples (clips, LENGTH)."""
    prepared = prepare(fold(front_end, INPUTS), Scheme(), ())
    calibrate(prepared, ((each,) for each in samples.split(BATCH)))
    return graph_of(convert(prepared))


def heard(front_end: nn.Module, samples: Tensor) -> Tensor:
    """Log-mel values (clips, frames, bands)."""
    with torch.no_grad():
        return torch.cat([front_end(each) for each in samples.split(BATCH)])


class Given(nn.Module):
    """In the place of a front end: log-mel values, normalized."""

    def __init__(self, values: Tensor) -> None:
        super().__init__()
        self.mean, self.spread = values.mean((0, 1)), values.std((0, 1))

    def forward(self, values: Tensor, before: object = None) -> Tensor:
        """values: (batch, frames, bands)."""
        return (values - self.mean) / self.spread


def trained(values: Tensor, labels: Tensor, seed: int, epochs: int) -> nn.Module:
    """A small net that tells digits apart by values (clips, frames, bands)."""
    torch.manual_seed(seed)
    net = make(MODEL, 10, INPUTS)
    net.front_end = Given(values)
    steps = epochs * (len(values) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for chosen in _batches(len(values), epochs):
        loss = functional.cross_entropy(net.train()(values[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net.eval()


def _batches(count: int, epochs: int) -> Iterator[Tensor]:
    for _ in range(epochs):
        yield from torch.randperm(count)[: count // BATCH * BATCH].split(BATCH)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    (train, labels), (test, wanted) = clips("train"), clips("test")
    plain = FrontEnd(MODEL.front_end).eval()
    kinds: dict[str, nn.Module] = {
        "float32": plain,
        "weights in float16": with_weights(plain, lambda _, value: value.half().float()),
        "weights in int8": with_weights(plain, in_int8),
        "all in int8": all_in_int8(plain, train[::8]),
    }
    values = heard(plain, train)
    nets = [trained(values, labels, seed, asked.epochs) for seed in range(asked.seeds)]
    exact = heard(plain, test)
    rows = []
    for name, front_end in kinds.items():
        found = heard(front_end, test)
        apart = (found - exact).abs().flatten()
        with torch.no_grad():
            right = [float((net(found).argmax(1) == wanted).float().mean()) for net in nets]
        rows.append({
            "front_end": name,
            "mean": float(apart.mean()),
            "p99": float(apart.double().quantile(0.99)),
            "largest": float(apart.max()),
            "accuracy_percent": 100 * sum(right) / len(right),
            "by_seed": [100 * each for each in right],
        })  # fmt: skip
        print(rows[-1], flush=True)
    write("front_end_int8", rows, seeds=list(range(asked.seeds)), epochs=asked.epochs,
          clips={"train": len(train), "test": len(test)}, bands=MODEL.front_end.bands)  # fmt: skip


if __name__ == "__main__":
    main()
