"""The runs of a search in its folder: a journal that survives a kill, and who draws new values."""

from __future__ import annotations

import fcntl
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgedistill.artifact import text_digest
from edgedistill.errors import UserError
from edgedistill.records import Run, Varied
from edgedistill.searching.rungs import SHARES
from edgedistill.searching.space import as_parameters, as_values, suggested

JOURNAL = "trials.log"
_DRAWN_AT_RANDOM = 6
"""Trials before the sampler learns from earlier ones."""
_MOST_REPEATED = 30
"""Values in a row that were tried before: then there are no others, or hardly any."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder of a search, which is made where it is missing. Raises UserError: it is no
    such folder, or another search is at work in it."""
    journal = folder / JOURNAL
    if folder.exists() and not journal.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(
            f"{folder}: something else than a search is there", "give another folder with --out"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with journal.open("a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{folder}: another search is at work there", "wait for it, or give another --out"
            ) from None
        yield


class Study:
    """The runs of one search. Each is a trial of Optuna's, whose number it bears; values that are
    tried for longer are a trial more."""

    def __init__(self, folder: Path, asked: Any, varied: Sequence[Varied], seed: int) -> None:
        """asked: everything that the outcome depends on. Raises UserError: the search in `folder`
        was asked for something else, or Optuna is missing."""
        try:
            import optuna
        except ModuleNotFoundError:
            raise UserError(
                "search: the package `optuna` is missing", "pip install 'edgedistill[search]'"
            ) from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.varied, self._seed = varied, seed
        journal = optuna.storages.journal.JournalFileBackend(str(folder / JOURNAL))
        self._study = optuna.create_study(
            study_name="search", storage=optuna.storages.JournalStorage(journal),
            load_if_exists=True, directions=["maximize", "minimize"],
        )  # fmt: skip
        digest = text_digest(asked)
        if self._study.user_attrs.setdefault("asked", digest) != digest:
            raise UserError(
                f"{folder}: the search there is of another recipe, target, data or other values",
                "give another folder with --out",
            )
        self._study.set_user_attr("asked", digest)

    @property
    def runs(self) -> list[Run]:
        """Those that ended, in order."""
        return [
            _run(trial, self.varied)
            for trial in self._study.get_trials(deepcopy=False)
            if trial.state.is_finished() and "seconds" in trial.user_attrs
        ]

    @property
    def spent(self) -> float:
        """Seconds of all runs, those that were interrupted too."""
        interrupted: float = self._study.user_attrs.get("interrupted_s", 0.0)
        return interrupted + sum(run.seconds for run in self.runs)

    def unfinished(self) -> Any | None:
        """What was interrupted, to be run first."""
        import optuna

        for trial in self._study.get_trials(deepcopy=False):
            if not trial.state.is_finished() and "share" in trial.user_attrs:
                return optuna.trial.Trial(self._study, trial._trial_id)
        return None

    def again(self, run: Run, share: float) -> Any:
        """A run with the values of an earlier one, for longer."""
        return self._begun(run.values, run.trial, share)

    def own(self, values: dict[str, Any]) -> Any:
        """The first run, with the recipe's own values."""
        return self._begun(values, 0, SHARES[0])

    def _begun(self, values: dict[str, Any], trial: int, share: float) -> Any:
        self._study.enqueue_trial(as_parameters(self.varied, values))
        return self._named(self._ask(), trial, share)

    def drawn(self) -> Any | None:
        """A first, cheap run with values that were not tried yet; None: there are none left."""
        import optuna

        before = [run.values for run in self.runs]
        for _ in range(_MOST_REPEATED):
            trial = self._ask()
            if as_values(self.varied, trial.params) not in before:
                return self._named(trial, trial.number, SHARES[0])
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return None

    def _ask(self) -> Any:
        import optuna

        # A search that goes on must not draw what it drew before.
        self._study.sampler = optuna.samplers.TPESampler(
            seed=self._seed + len(self._study.get_trials(deepcopy=False)),
            n_startup_trials=_DRAWN_AT_RANDOM,
        )
        trial = self._study.ask()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for each in self.varied:
                suggested(trial, each)
        return trial

    @staticmethod
    def _named(trial: Any, of: int, share: float) -> Any:
        trial.set_user_attr("trial", of)
        trial.set_user_attr("share", share)
        return trial

    def run(self, trial: Any, judged: Callable[[dict[str, Any], float], dict[str, float]]) -> Run:
        """Run a trial: `judged` is given its values and share, and gives the figures of a `Run`.
        What the user can mend is written down as a failure, with its reason."""
        import optuna

        started = time.monotonic()
        values = as_values(self.varied, trial.params)
        figures: dict[str, float] = {}
        try:
            figures = judged(values, trial.user_attrs["share"])
        except UserError as error:
            trial.set_user_attr("reason", error.message)
        except BaseException:
            earlier = self._study.user_attrs.get("interrupted_s", 0.0)
            self._study.set_user_attr("interrupted_s", earlier + time.monotonic() - started)
            raise
        trial.set_user_attr("figures", figures)
        trial.set_user_attr("seconds", time.monotonic() - started)
        if figures:
            self._study.tell(trial, [figures["quality"], figures["cost"]])
        else:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return next(run for run in self.runs if run.number == trial.number)


def _run(trial: Any, varied: Sequence[Varied]) -> Run:
    told = trial.user_attrs
    return Run(
        number=trial.number, trial=told["trial"], share=told["share"], seconds=told["seconds"],
        values=as_values(varied, trial.params), reason=told.get("reason"), **told["figures"],
    )  # fmt: skip
