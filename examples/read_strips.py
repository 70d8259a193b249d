"""A student that generates: it reads two to four handwritten digits from one strip, token by token.

    python examples/read_strips.py

A teacher learns from 3,000 labelled strips. One student learns a tenth of those labels; one takes
the teacher's whole output on 3,000 strips without labels as if it were the label (sequence level);
one follows, forced over the same output, the four likeliest of the teacher's tokens at each step
(token level). Printed is the share of 500 test strips read right.
Recipes compile no generating models yet: this shows the losses of `edgedistill.distill.sequences`
in a loop of one's own.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch import Tensor, nn

from edgedistill.distill.sequences import sequence_level, token_level, top_tokens

BEGIN, END, VOCABULARY, LONGEST = 10, 11, 12, 4


def strips(count: int, seed: int, test: bool) -> tuple[Tensor, Tensor]:
    """Pixels (count, 1, 8, 32) in 0..1, and tokens (count, LONGEST + 1): digits, then END."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images, digits = bunch.images / 16, bunch.target
    own = np.flatnonzero((np.arange(len(digits)) % 5 == 0) == test)
    random = np.random.default_rng(seed)
    pixels = np.zeros((count, 1, 8, 8 * LONGEST), np.float32)
    tokens = np.full((count, LONGEST + 1), END)
    for row in range(count):
        chosen = random.choice(own, random.integers(2, LONGEST + 1))
        place = random.integers(0, 8 * (LONGEST - len(chosen)) + 1)
        strip = np.concatenate([images[each] for each in chosen], axis=1)
        pixels[row, 0, :, place : place + strip.shape[1]] = strip
        tokens[row, : len(chosen)] = digits[chosen]
    return torch.from_numpy(pixels), torch.from_numpy(tokens)


class Reader(nn.Module):
    """A convolutional encoder and a transformer decoder that looks at its columns."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, (4, 1)),
        )  # fmt: skip
        self.where = nn.Parameter(0.02 * torch.randn(4 * LONGEST, width))
        self.embed = nn.Embedding(VOCABULARY, width)
        self.place = nn.Parameter(0.02 * torch.randn(LONGEST + 1, width))
        layer = nn.TransformerDecoderLayer(width, 4, 2 * width, 0.0, batch_first=True)
        self.decode = nn.TransformerDecoder(layer, layers)
        self.linear = nn.Linear(width, VOCABULARY)

    def forward(self, pixels: Tensor, before: Tensor) -> Tensor:
        """before: (batch, length), the tokens so far; gives logits (batch, length, VOCABULARY)."""
        seen = self.look(pixels).squeeze(2).transpose(1, 2) + self.where
        length = before.shape[1]
        ahead = torch.ones(length, length, dtype=torch.bool).triu(1)
        told = self.embed(before) + self.place[:length]
        logits: Tensor = self.linear(self.decode(told, seen, tgt_mask=ahead))
        return logits

    @torch.no_grad()
    def read(self, pixels: Tensor) -> Tensor:
        """The likeliest token at each step, (batch, LONGEST + 1), END to the end once it ended."""
        tokens = torch.full((len(pixels), 1), BEGIN)
        for _ in range(LONGEST + 1):
            following = self.eval()(pixels, tokens)[:, -1].argmax(1)
            following[(tokens == END).any(1)] = END
            tokens = torch.cat([tokens, following[:, None]], dim=1)
        return tokens[:, 1:]


def forced(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """What comes before each token, and which positions count: up to and with the first END."""
    before = torch.cat([torch.full((len(tokens), 1), BEGIN), tokens[:, :-1]], dim=1)
    return before, (before != END)


def train(
    model: Reader, pixels: Tensor, tokens: Tensor, steps: int, teacher: Reader | None = None
) -> Reader:
    """On `tokens` as labels; with a teacher, on its distribution over the same prefix."""
    random = np.random.default_rng(0)
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        ids = torch.from_numpy(random.integers(0, len(pixels), 64))
        before, counted = forced(tokens[ids])
        logits = model.train()(pixels[ids], before)
        if teacher is None:
            loss = sequence_level(logits, tokens[ids], counted)
        else:
            with torch.no_grad():
                kept = top_tokens(teacher.eval()(pixels[ids], before), 4, temperature=2)
            loss = token_level(logits, *kept, counted, temperature=2)
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
        schedule.step()
    return model


def right(model: Reader, pixels: Tensor, tokens: Tensor) -> float:
    return 100 * float((model.read(pixels) == tokens).all(1).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000, help="of each training")
    parser.add_argument("--strips", type=int, default=3000, help="of each kind")
    wanted = parser.parse_args()
    steps, count = wanted.steps, wanted.strips
    pixels, tokens = strips(count, 1, test=False)
    test = strips(count // 6, 2, test=True)
    torch.manual_seed(0)
    teacher = train(Reader(64, 2), pixels, tokens, steps)
    print(f"teacher: {right(teacher, *test):.1f} % of the strips read right")
    unlabelled, _ = strips(count, 3, test=False)
    output = teacher.read(unlabelled)
    ways = {
        "a tenth of the labels": (pixels[: count // 10], tokens[: count // 10], None),
        "sequence level": (unlabelled, output, None),
        "token level": (unlabelled, output, teacher),
    }
    for name, (seen, told, guide) in ways.items():
        torch.manual_seed(1)
        student = train(Reader(32, 1), seen, told, steps, guide)
        print(f"student, {name}: {right(student, *test):.1f} %")


if __name__ == "__main__":
    main()
