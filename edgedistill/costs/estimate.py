"""A file's estimated costs, operator by operator, for people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgedistill.cache import default_root
from edgedistill.costs.of_file import works_of_file
from edgedistill.costs.opened import open_prices
from edgedistill.costs.prices import Unit
from edgedistill.devices import open_device
from edgedistill.errors import UserError, reading
from edgedistill.models.steps import Step, Work
from edgedistill.records import How
from edgedistill.target import load_target


@dataclass(frozen=True)
class OperatorCost:
    """An operator's price in one inference."""

    name: str
    operator: str
    size: str
    """`24 x 16, kernel 9, 256 positions`: outputs by inputs."""
    price: float


@dataclass(frozen=True)
class Estimate:
    """What one inference of a file costs."""

    unit: Unit
    where: str
    """The device, in words."""
    rows: tuple[OperatorCost, ...]
    fixed: float
    """Beside the operators."""
    total: float
    asked: int
    """Operators that the device was asked for it."""
    notes: tuple[str, ...]
    how: How = "estimated"


def estimated(
    path: Path, device: str, target: str, cache: Path | None, say: Callable[[str], None]
) -> Estimate:
    """What a .tflite file, or a bundle's, costs. Raises UserError: there is none, no such device
    or target, or the device does not run such files."""
    file = _file(path)
    kernels = load_target(target)
    with reading(str(file), "give a .tflite file, or a bundle with one"):
        numbers, works = works_of_file(file)
    prices = open_prices(open_device(device), kernels, numbers, cache or default_root(), say)
    total = prices.predict(work for _, work in works)
    rows = tuple(_row(name, work, prices.of(work)) for name, work in works)
    unknown = {work.operator for _, work in works if isinstance(work, Step) and work.operator}
    notes = [f"{each}: priced as an addition of as many elements" for each in sorted(unknown)]
    if numbers == "int8" and kernels.kernel is None:
        notes.append(f"{target} does not tell its kernels' steps: channels are taken up by eight")
    if prices.unit == "microseconds":
        notes.append(f"threads: {kernels.threads}, as {target} has")
    fixed = prices.fixed(len(works))
    return Estimate(prices.unit, prices.where, rows, fixed, total, prices.asked, tuple(notes))


def _file(path: Path) -> Path:
    """The .tflite file that is meant: of a bundle the int8 one, where there are several."""
    if path.is_file():
        return path
    files = sorted(path.rglob("*.tflite"), key=lambda each: ".int8." not in each.name)
    if not files:
        raise UserError(f"{path}: no .tflite file there", "give such a file, or a bundle with one")
    return files[0]


def _row(name: str, work: Work, price: float) -> OperatorCost:
    if isinstance(work, Step):
        size = f"{work.channels} channels, {work.positions} positions"
        return OperatorCost(name, work.operator or work.kind, size, price)
    groups = f"{work.groups} groups, " if work.groups > 1 else ""
    size = f"{groups}{work.outputs} x {work.inputs}, kernel {work.kernel}"
    return OperatorCost(name, "product", f"{size}, {work.positions} positions", price)
