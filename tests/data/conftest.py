from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pictures import noise
from PIL import Image


class Listener:
    def __init__(self) -> None:
        self.said: list[str] = []
        self.ticks: list[tuple[str, float, float]] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def tick(self, label: str, done: float, total: float, note: str = "") -> None:
        self.ticks.append((label, done, total))


@pytest.fixture
def reporter() -> Listener:
    return Listener()


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """make_folder("train", cat=5, dog=5): PNG files of noise, all different."""
    made = 0

    def make(name: str, size: int = 8, **classes: int) -> Path:
        nonlocal made
        for label, count in classes.items():
            folder = tmp_path / name / label
            folder.mkdir(parents=True)
            for number in range(count):
                made += 1
                Image.fromarray(noise(made, size)).save(folder / f"{number}.png")
        return tmp_path / name

    return make
