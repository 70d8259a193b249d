from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgedistill.costs import open_prices
from edgedistill.costs.estimate import estimated
from edgedistill.costs.of_file import works_of_file
from edgedistill.costs.probe import Probe
from edgedistill.costs.probe_file import write
from edgedistill.devices import Identity, Job, Record, open_device
from edgedistill.errors import UserError
from edgedistill.models.steps import Step
from edgedistill.models.work import Product
from edgedistill.records import How, OperatorRow
from edgedistill.runtimes import RUNTIMES
from edgedistill.target import load_target

TARGET = load_target("android-arm64")
PRODUCT = Product(1, 10, 40, 1, 1)


class Counting:
    """A device on which an operator takes as many instructions as it writes elements, and an
    inference 100 more."""

    name = "counting"
    how: How = "emulated"
    runtimes: tuple[str, ...] = ("litert",)
    runs_programs = False
    jobs = 0

    def __enter__(self) -> Counting:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def identity(self) -> Identity:
        return Identity("a device", "aarch64")

    def run(self, job: Job) -> Record:
        self.jobs += 1
        loaded = RUNTIMES["litert"].load(job.model)
        with np.load(job.inputs) as inputs:
            answers = loaded.run(loaded.encode(dict(inputs)))
        rows = [
            OperatorRow(name, "", "int8", None, "XNNPACK", float(values.size))
            for name, values in answers.items()
        ]
        whole = sum(row.instructions or 0.0 for row in rows)
        return Record(None, None, [], None, operators=rows, instructions={"all": whole + 100})


def test_prices_are_asked_once(tmp_path: Path) -> None:
    device = Counting()
    prices = open_prices(device, TARGET, "int8", tmp_path)
    assert prices.unit == "instructions"
    assert prices.of(PRODUCT) == 16
    assert prices.predict([PRODUCT, Step("add", 8, 8)]) == 100 + 16 + 64
    assert (prices.asked, device.jobs) == (2, 4)
    again = open_prices(device, TARGET, "int8", tmp_path)
    assert again.predict([PRODUCT, Step("add", 8, 8)]) == 180
    assert (again.asked, device.jobs) == (0, 4)


class Timing(Counting):
    """A device on which an inference takes 100 us, an operator 2 us and one for each element that
    it writes, a clamp a tenth of that; every third job is disturbed."""

    name = "timing"
    how: How = "measured"

    def run(self, job: Job) -> Record:
        self.jobs += 1
        _, works = works_of_file(job.model)
        taken = 100.0
        for _, work in works:
            if isinstance(work, Product):
                taken += 2 + work.outputs * work.positions
            elif work.kind == "relu":
                taken += 0.1 * work.elements
            else:
                taken += 2 + work.elements
        late = 1.5 if self.jobs % 3 == 1 else 1.0
        return Record(None, None, [late * taken / 1000], None)


def test_what_disturbs_and_what_lies_beside_an_operator_is_not_in_its_time(tmp_path: Path) -> None:
    device = Timing()
    prices = open_prices(device, TARGET, "int8", tmp_path)
    assert prices.unit == "microseconds"
    assert prices.fixed(0) == pytest.approx(100)
    small = 16  # elements, of the smallest operator: prices are what others take beyond that
    assert prices.of(PRODUCT) == pytest.approx(16 - small)
    assert prices.of(Step("add", 64, 8)) == pytest.approx(512 - small)
    assert prices.of(Step("relu", 64, 8)) == pytest.approx(51.2)
    assert prices.fixed(3) == pytest.approx(100 + 3 * (2 + small))


def test_a_device_whose_times_never_agree_is_told_of(tmp_path: Path) -> None:
    class Restless(Timing):
        def run(self, job: Job) -> Record:
            record = super().run(job)
            return Record(None, None, [each * 1.5**self.jobs for each in record.samples_ms], None)

    said: list[str] = []
    open_prices(Restless(), TARGET, "int8", tmp_path, said.append)
    assert said[0] == "costs: timing is disturbed: of 5 times no two agree"


def test_a_line_that_was_cut_off_is_asked_again(tmp_path: Path) -> None:
    open_prices(Counting(), TARGET, "int8", tmp_path).of(PRODUCT)
    (path,) = (tmp_path / "costs").iterdir()
    path.write_text(path.read_text()[:-8])
    prices = open_prices(Counting(), TARGET, "int8", tmp_path)
    assert (prices.of(PRODUCT), prices.asked) == (16, 1)


def test_a_device_without_litert_is_refused(tmp_path: Path) -> None:
    device = Counting()
    device.runtimes = ("onnxruntime",)
    with pytest.raises(UserError, match="costs: counting runs no LiteRT files"):
        open_prices(device, TARGET, "int8", tmp_path)


@pytest.mark.slow
def test_operators_are_timed_here(tmp_path: Path) -> None:
    with open_device("local") as device:
        prices = open_prices(device, TARGET, "fp32", tmp_path)
        assert prices.unit == "microseconds"
        assert prices.of(Product(1, 32, 32, 9, 256)) > 0
    path = tmp_path / "one.tflite"
    path.write_bytes(write([Probe("convolution", 32, 32, 9, 256)], "fp32")[0])
    found = estimated(path, "local", "linux-x64", tmp_path, lambda _: None)
    assert found.notes == ("threads: 2, as linux-x64 has",)


@pytest.mark.emulator
def test_an_emulated_core_is_counted(tmp_path: Path) -> None:
    probe = Probe("convolution", 16, 16, 9, 256)
    path = tmp_path / "one.tflite"
    path.write_bytes(write([probe, Probe("relu", 512)], "int8")[0])
    with open_device("emulator:cortex-a76") as device:
        prices = open_prices(device, TARGET, "int8", tmp_path)
        whole = prices.of(Product(1, 16, 16, 9, 256))
        assert prices.of(Product(1, 9, 14, 9, 256)) == whole
    found = estimated(path, "emulator:cortex-a76", "android-arm64", tmp_path, lambda _: None)
    assert [row.operator for row in found.rows] == ["product", "add", "relu"]
    assert found.rows[0].price == whole
