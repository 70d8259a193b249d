from __future__ import annotations

from networks import SIZE, Residual, normalized

from edgedistill.compress.fold import fold
from edgedistill.compress.mixed import layer_macs, leave_in_float
from edgedistill.models.work import products
from edgedistill.records import LayerSensitivity
from edgedistill.signature import blank, image_inputs

WORTH = {"a": 2.0, "b": 1.0, "c": 0.1, "d": 4.0}


def row(layer: str) -> LayerSensitivity:
    noise = {"a": -10.0, "b": -20.0, "c": -30.0, "d": -12.0}
    return LayerSensitivity(layer, True, 0.0, -noise[layer])


def drop(names: tuple[str, ...]) -> float:
    return 8.0 - sum(WORTH[each] for each in names)


ROWS = [row(each) for each in WORTH]


def test_nothing_stays_in_float_where_the_limit_holds() -> None:
    assert leave_in_float(ROWS, dict.fromkeys(WORTH, 1.0), drop, 8.0) == ((), 8.0)


def test_what_is_not_needed_goes_back() -> None:
    """`a` comes first by the table, and `d` turns out to be enough."""
    assert leave_in_float(ROWS, dict.fromkeys(WORTH, 1.0), drop, 4.5) == (("d",), 4.0)


def test_what_costs_less_goes_first() -> None:
    costs = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1e6}
    assert leave_in_float(ROWS, costs, drop, 5.0) == (("a", "b"), 5.0)


def test_a_limit_out_of_reach_gets_the_best_that_there_is() -> None:
    names, fallen = leave_in_float(ROWS, dict.fromkeys(WORTH, 1.0), drop, 0.0, kept=("c",))
    assert (set(names), fallen) == ({"a", "b", "d"}, 1.0)


def test_macs_are_those_that_the_report_counts() -> None:
    model, inputs = normalized(Residual()), image_inputs(3, SIZE, SIZE)
    counted = sum(each.macs for each in products(model, *blank(inputs)))
    program = layer_macs(fold(model, inputs))
    assert sum(macs for name, macs in program.items() if name != "normalize") == counted
