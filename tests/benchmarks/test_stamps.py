from __future__ import annotations

from pathlib import Path

from PIL import Image

from benchmarks.stamps import CLASSES, PLACE, SIDE, lay_out, on_white


def stamp(path: Path, size: tuple[int, int]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGBA", size, (200, 0, 0, 255)).save(path)
    return path


def test_a_stamp_is_whole_and_in_the_middle_of_white(tmp_path: Path) -> None:
    picture = on_white(stamp(tmp_path / "wide.png", (40, 10)))
    assert picture.size == (SIDE, SIDE)
    assert picture.getpixel((0, 0)) == picture.getpixel((SIDE // 2, 20)) == (255, 255, 255)
    assert picture.getpixel((SIDE // 2, SIDE // 2)) == (200, 0, 0)


def test_every_second_stamp_is_for_testing_and_cartoons_for_nothing(tmp_path: Path) -> None:
    for folder in CLASSES.values():
        for name in ("a", "b", "c", "cartoon/d"):
            stamp(tmp_path / PLACE / folder / f"{name}.png", (8, 8))
    counts = lay_out(tmp_path, tmp_path / "photos")
    assert counts == dict.fromkeys(CLASSES, (2, 1))
    names = sorted(path.name for path in (tmp_path / "photos/train/bird").iterdir())
    assert names == ["a.png", "c.png"]
