"""A device at the other end of a link: a runner measures there, its record comes back."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from edgedistill.artifact import file_digest
from edgedistill.devices import benchmark_model
from edgedistill.devices.job import Conditions, Identity, Job, Order, Record
from edgedistill.devices.native.shared import ISAS
from edgedistill.devices.remote import facts, scripts
from edgedistill.devices.remote.folder import Folder, telling
from edgedistill.devices.remote.link import Link, Lost, last_words
from edgedistill.devices.remote.setup import versions
from edgedistill.errors import UserError, printable
from edgedistill.scratch import scratch_folder

if TYPE_CHECKING:
    from edgedistill.records import How

_PATIENCE = 600.0
"""Seconds that a job may take beside its measuring."""
_TO_END = 120.0
"""Seconds that a job's script may take beside its runner, to which it gives the time limit."""
_SIGNALLED = 128
"""What sh adds to the number of the signal that ended a program."""
_WHY = {
    "SIGILL": "the processor lacks instructions that the runtime's build takes for granted",
    "SIGKILL": "memory ran out there, or somebody ended it",
}


class Remote:
    """A device behind a link. Entering it makes a folder there, leaving it takes that away."""

    how: How = "measured"
    runtimes = ("litert", "onnxruntime")
    runs_programs = True

    def __init__(self, link: Link) -> None:
        self.name = link.name
        self._link = link
        self._folder = Folder(link)
        self._told: dict[str, str] = {}

    def __enter__(self) -> Remote:
        try:
            self._link.open()
        except BaseException:
            self._link.close()
            raise
        try:
            self._look()
            self._folder.make()
        except BaseException as error:
            self._leave(error)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        try:
            left = self._folder.remove()
        finally:
            self._link.close()
        if left and isinstance(error, UserError):
            raise UserError(error.message, f"{error.hint}; {left}: remove it") from error
        if left and error is None:
            raise UserError(left, "remove it when the device can be reached")
        if left:
            print(printable(left), file=sys.stderr)

    def _look(self) -> None:
        """Raises UserError: no runner of ours runs on such a processor."""
        with telling(self._link, "asking which device it is"):
            answer = self._link.run(facts.asking(facts.IDENTITY))
        self._told = facts.answers(answer.out)
        if self._isa not in ISAS:
            raise UserError(
                f"{self.name}: its processor is `{self._isa}`",
                f"measure on a 64-bit system: {' or '.join(ISAS)}",
            )

    @property
    def _isa(self) -> str:
        return self._told.get("machine", "")

    def identity(self) -> Identity:
        """Which device this is, as far as it tells, and the runtimes that it is given."""
        return Identity(
            name=facts.name(self._told),
            isa=self._isa,
            flags=tuple(facts.processor(self._told)[1]),
            system=facts.system(self._told),
            facts=facts.more(self._told),
            versions=versions(self._isa),
        )

    def run(self, job: Job) -> Record:
        """Run one job there and take away what it brought and left, but for its model and the
        runtime, which the next job may need.

        Raises UserError: its file or runtime does not run there, the runner died or took too long,
        or the device was lost.
        """
        self._must_run(job)
        with scratch_folder() as here:
            order = _order(job, here, self._isa)
            passing = [*(path.name for path in order.files[1:]), *order.answers, *scripts.FILES]
            try:
                self._carry(job, order, here)
                self._measure(job, order)
                with telling(self._link, f"bringing back what {job.model.name} gave"):
                    self._folder.pull([*order.answers, scripts.STATE], here)
            finally:
                with suppress(Lost):
                    self._folder.drop(passing)
            return replace(order.read(here), conditions=_conditions(here / scripts.STATE))

    def _must_run(self, job: Job) -> None:
        if job.runtime not in self.runtimes:
            raise UserError(
                f"{self.name}: `{job.runtime}` is not measured there",
                f"take a file of {' or '.join(self.runtimes)}",
            )

    def _carry(self, job: Job, order: Order, here: Path) -> None:
        """Bring there what the job needs and is not there yet."""
        model = order.files[0]
        kept = f"models/{file_digest(model)[:16]}/{model.name}"
        self._folder.keep({kept: model, **order.lasting})
        script = here / scripts.SCRIPT
        script.write_text(
            scripts.job(self._folder.path, order.command(kept), self._link.conditions, _limit(job))
        )
        self._folder.keep({path.name: path for path in (script, *order.files[1:])})

    def _measure(self, job: Job, order: Order) -> None:
        """Raises UserError: the runner did not end well, with its last words."""
        doing = job.doing
        with telling(self._link, doing):
            answer = self._folder.run(scripts.SCRIPT, _limit(job) + _TO_END)
        printed = order.telling(answer.out.replace(scripts.LATE, ""))
        said = last_words(printed) or last_words(answer.err) or "without a word"
        if scripts.LATE in answer.out:
            raise UserError(
                f"{self.name}: {doing} has not ended within {_limit(job):g} s: {said}",
                "lower `runs` or `seconds`, if the model is slow; else the file may be damaged",
            )
        if answer.code > _SIGNALLED:
            ending = _signal_name(answer.code - _SIGNALLED)
            raise UserError(
                f"{self.name}: {doing}: {order.who} died ({ending}): {said}",
                _WHY.get(ending, "the file is damaged or made to do that"),
            )
        if answer.code:
            raise UserError(f"{self.name}: {doing}: {said}", order.hint)


def _order(job: Job, here: Path, isa: str) -> Order:
    """What runs there: our runner, or the program that the job is for."""
    if job.by:
        return benchmark_model.order(job, job.by, here)
    from edgedistill.devices.native import answered, launch, libraries, prepared, runner

    ready = prepared(job, here)
    name = ready.files[0].name
    lasting = [runner(isa), *libraries(job.runtime, isa)]
    return Order(
        ready.files,
        ready.answers,
        {path.name: path for path in lasting},
        lambda model: [
            *launch(isa),
            *(model if word == name else word for word in ready.arguments(isa)),
        ],
        lambda folder: answered(ready, folder),
    )


def _limit(job: Job) -> float:
    return _PATIENCE + max(job.protocol.seconds, job.protocol.minimum_seconds)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _conditions(path: Path) -> list[Conditions]:
    """The device's state before, during and after a job, of what its script wrote down."""
    looks = facts.blocks(path.read_text(errors="backslashreplace"), "at")
    timed = [(int(look["at"]), look) for look in looks if look["at"].isdecimal()]
    return [Conditions(float(at - timed[0][0]), facts.state(look)) for at, look in timed]
