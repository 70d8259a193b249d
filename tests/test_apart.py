"""What ends its process ends another one, and is told."""

from __future__ import annotations

import os
import signal
import time

import pytest

from edgedistill.apart import Apart
from edgedistill.errors import UserError


def abort() -> None:
    os.kill(os.getpid(), signal.SIGABRT)


def refuse() -> None:
    raise UserError("not this one", "take another")


def test_calls_share_a_process_that_is_not_this_one() -> None:
    with Apart("try another") as apart:
        first, second = (apart.call("it", 60, os.getpid) for _ in range(2))
    assert first == second != os.getpid()


def test_a_process_that_dies_or_hangs_is_told_and_the_next_call_has_another() -> None:
    with Apart("try another") as apart:
        with pytest.raises(UserError, match=r"^odd: the process that ran it died") as raised:
            apart.call("odd", 60, abort)
        assert raised.value.hint == "try another"
        first = apart.call("it", 60, os.getpid)
        with pytest.raises(UserError, match=r"^slow: has not come back within 0\.5 s"):
            apart.call("slow", 0.5, time.sleep, 60)
        assert apart.call("it", 60, os.getpid) != first


def test_errors_come_back_with_their_hints() -> None:
    with Apart("try another") as apart, pytest.raises(UserError) as raised:
        apart.call("it", 60, refuse)
    assert (raised.value.message, raised.value.hint) == ("not this one", "take another")
