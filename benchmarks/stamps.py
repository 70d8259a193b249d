"""Few pictures of a class, as a folder for `benchmarks.photos --photos`: what Tux Paint's stamps
(Debian's package tuxpaint-stamps-default, GPL-2) have in ten of their folders, on white. Most are
cut out of photos, some are painted; those in folders named `cartoon` stay out. Every second one is
for testing.

    apt-get download tuxpaint-stamps-default && dpkg -x tuxpaint-stamps-default*.deb STAMPS
    python -m benchmarks.stamps STAMPS PHOTOS
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

PLACE = "usr/share/tuxpaint/stamps"
SIDE, MARGIN = 256, 16
"""Pixels of a picture, and of white on each side of what it shows."""
CLASSES = {
    "bird": "animals/birds", "fish": "animals/fish", "flower": "plants/flowers",
    "fruit": "food/fruit", "insect": "animals/insects", "instrument": "hobbies/music",
    "mammal": "animals/mammals", "tool": "household/tools", "vegetable": "food/vegetables",
    "vehicle": "vehicles",
}  # fmt: skip


def on_white(path: Path) -> Image.Image:
    """A stamp in the middle of a white square."""
    with Image.open(path) as opened:
        stamp = opened.convert("RGBA")
    inside = SIDE - 2 * MARGIN
    scale = inside / max(stamp.size)
    width, height = (max(1, round(scale * side)) for side in stamp.size)
    stamp = stamp.resize((width, height), Image.Resampling.LANCZOS)
    square = Image.new("RGB", (SIDE, SIDE), "white")
    square.paste(stamp, ((SIDE - width) // 2, (SIDE - height) // 2), stamp)
    return square


def lay_out(stamps: Path, photos: Path) -> dict[str, tuple[int, int]]:
    """Write `photos/train` and `photos/test`; how many pictures of each class are in them."""
    counts = {}
    for name, folder in CLASSES.items():
        found = sorted(
            path
            for path in (stamps / PLACE / folder).rglob("*.png")
            if "cartoon" not in path.relative_to(stamps).parts
        )
        for at, path in enumerate(found):
            into = photos / ("test" if at % 2 else "train") / name
            into.mkdir(parents=True, exist_ok=True)
            on_white(path).save(into / path.name)
        counts[name] = ((len(found) + 1) // 2, len(found) // 2)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stamps", type=Path)
    parser.add_argument("photos", type=Path)
    asked = parser.parse_args()
    for name, (train, test) in lay_out(asked.stamps, asked.photos).items():
        print(f"{name}: {train} for training, {test} for testing")


if __name__ == "__main__":
    main()
