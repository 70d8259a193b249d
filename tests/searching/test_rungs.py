from __future__ import annotations

from typing import Any

from edgedistill.records import Run
from edgedistill.searching.rungs import SHARES, chosen, compared, front, promoted, ranked

CHEAP, LONGER, FULL = SHARES


def run(number: int, quality: float | None, cost: float | None = 1.0, **rest: Any) -> Run:
    given = {"trial": number, "share": CHEAP, "values": {}, "seconds": 10.0, **rest}
    return Run(number=number, quality=quality, cost=cost, **given)


def fits(_: Run) -> bool:
    return True


def affords(_: float) -> bool:
    return True


def test_the_front_is_what_nothing_cheaper_is_as_good_as() -> None:
    runs = [run(0, 80, 2), run(1, 70, 1), run(2, 75, 3), run(3, 90, 5), run(4, None, None)]
    assert [each.number for each in front(runs)] == [1, 0, 3]


def test_of_several_that_are_as_good_the_cheapest_is_chosen() -> None:
    runs = [run(0, 80, 3), run(1, 70, 1), run(2, 80, 2), run(3, 80, 2, trial=9), run(4, None, None)]
    assert chosen(runs) == runs[2]
    assert chosen(runs[:1] + runs[3:]) == runs[3]
    assert chosen(runs[4:]) is None


def test_what_may_be_chosen_goes_first_within_a_front() -> None:
    runs = [run(0, 80, 2), run(1, 70, 1), run(2, 75, 3), run(3, 90, 5)]
    order = ranked(runs, lambda each: (each.cost or 0) < 3)
    assert [each.number for each in order] == [0, 1, 3, 2]


def test_one_in_three_goes_on_and_the_own_values_with_it() -> None:
    runs = [run(0, 70), run(1, 90), run(2, 60)]
    assert promoted(runs[:2], fits, affords) is None
    found = promoted(runs, fits, affords)
    assert found == (runs[0], LONGER)
    runs.append(run(3, 75, trial=0, share=LONGER))
    assert promoted(runs, fits, affords) == (runs[1], LONGER)
    runs.append(run(4, 92, trial=1, share=LONGER))
    assert promoted(runs, fits, affords) is None
    runs += [run(5, 95), run(6, 20), run(7, 20), run(8, 94, trial=5, share=LONGER)]
    found = promoted(runs, fits, affords)
    assert found is not None
    assert (found[0].trial, found[1]) == (0, FULL)


def test_what_takes_longer_than_is_left_does_not_go_on() -> None:
    runs = [run(0, 70), run(1, 90, seconds=100.0), run(2, 60)]
    assert promoted(runs, fits, lambda seconds: seconds < 20) is None


def test_runs_are_compared_at_the_largest_share_that_the_own_values_share() -> None:
    runs = [run(0, 70), run(1, 72), run(2, 80, trial=0, share=LONGER)]
    assert [each.number for each in compared(runs)] == [0, 1]
    runs.append(run(3, 81, trial=1, share=LONGER))
    assert [each.number for each in compared(runs)] == [2, 3]
    assert [each.number for each in compared(runs[:1])] == [0]
