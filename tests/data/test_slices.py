from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgedistill.data.slices import read_slices
from edgedistill.errors import UserError

NAMES = ["test/cat/1.png", "test/cat/2.png", "test/dog/1.png"]


def table(folder: Path, text: str) -> Path:
    path = folder / "slices.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_each_value_of_a_column_is_a_slice(tmp_path: Path) -> None:
    path = table(tmp_path, "light,sample,camera\nday,test/dog/1.png,a\nnight,test/cat/1.png,\n")
    found = read_slices(path, NAMES)
    assert {name: mask.tolist() for name, mask in found.items()} == {
        "camera = a": [False, False, True],
        "light = day": [False, False, True],
        "light = night": [True, False, False],
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "its columns are none"),
        ('"sample"x,light\n', "expected after"),
        ("sample\ntest/cat/1.png\n", "its columns are sample"),
        ("image,light\ntest/cat/1.png,day\n", "its columns are image, light"),
        ("sample,light\ntest/cat/3.png,day\n", "line 2: there is no test sample `test/cat/3.png`"),
        ("sample,light\n" + "test/cat/1.png,day\n" * 2, "line 3: sample `test/cat/1.png` is there"),
        ("sample,light\ntest/cat/1.png\n", "line 2: not as many cells"),
        ("sample,light\ntest/cat/1.png,day,more\n", "line 2: not as many cells"),
        ('sample,light\ntest/cat/1.png,"da\n', "unexpected end"),
    ],
)
def test_a_table_at_fault_says_where(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        read_slices(table(tmp_path, text), NAMES)


def test_a_column_of_numbers_is_no_slice(tmp_path: Path) -> None:
    names = [str(number) for number in range(120)]
    lines = "".join(f"{name},{name}5\n" for name in names)
    with pytest.raises(UserError, match="more than 100 slices"):
        read_slices(table(tmp_path, "sample,weight\n" + lines), names)


def test_a_hint_names_a_few_of_many_images(tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        read_slices(table(tmp_path, "sample,light\nxyz,day\n"), [str(n) for n in range(2000)])
    assert raised.value.hint.endswith(", ... (2000 in all)")
    assert len(raised.value.hint) < 400


def test_other_bytes_than_text_are_told(tmp_path: Path) -> None:
    path = tmp_path / "slices.csv"
    path.write_bytes(b"sample,light\n\xff\xfe\n")
    with pytest.raises(UserError, match="is no UTF-8 text"):
        read_slices(path, NAMES)


@given(st.lists(st.sampled_from(["", "day", "night"]), min_size=1, max_size=20))
def test_a_columns_slices_part_its_samples(
    tmp_path_factory: pytest.TempPathFactory, values: list[str]
) -> None:
    names = [f"image {number}" for number in range(len(values))]
    lines = "".join(f"{name},{value}\n" for name, value in zip(names, values, strict=True))
    path = table(tmp_path_factory.mktemp("slices"), "sample,light\n" + lines)
    masks = read_slices(path, names)
    for place, value in enumerate(values):
        inside = [name for name, mask in masks.items() if mask[place]]
        assert inside == ([f"light = {value}"] if value else [])
