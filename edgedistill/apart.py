"""A process of its own for what may end its process, or never come back: model files that somebody
else made, and frameworks that do not get on with torch in one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from edgedistill.errors import UserError

T = TypeVar("T")


class Apart:
    """Calls functions of a module in another process, one process for all calls. It ends with this
    object."""

    def __init__(self, hint: str) -> None:
        """hint: what the user can do where the process dies."""
        self._hint = hint
        self._pool: ProcessPoolExecutor | None = None

    def call(self, who: str, patience: float | None, work: Callable[..., T], *arguments: Any) -> T:
        """What `work` returns or raises there.

        who: the file, for messages. patience: seconds it may take; None: as long as it takes.

        Raises UserError: the process died, or was ended as its time was over.
        """
        self._pool = self._pool or _pool()
        try:
            return self._pool.submit(work, *arguments).result(patience)
        except BrokenProcessPool:
            self.end()
            raise UserError(
                f"{who}: the process that ran it died: the file is damaged or made to do that, or "
                'memory ran out, or a script has no `if __name__ == "__main__":`',
                self._hint,
            ) from None
        except TimeoutError:
            if patience is None:  # it is what `work` raised
                raise
            self.end()
            raise UserError(f"{who}: has not come back within {patience:g} s", self._hint) from None

    def end(self) -> None:
        """End the process, whatever it is at; the next call starts another."""
        if self._pool is None:
            return
        for process in list((self._pool._processes or {}).values()):
            process.kill()
        self._pool.shutdown(cancel_futures=True)
        self._pool = None

    def __enter__(self) -> Apart:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def _pool() -> ProcessPoolExecutor:
    import multiprocessing

    # Not `fork`: the parent may run threads of torch, arrow or BLAS, whose locks a fork copies.
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), initializer=follow_parent)


def follow_parent() -> None:
    """Leave Ctrl-C to the parent, and end when it ends, however it does."""
    import multiprocessing
    import os
    import signal
    import threading

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
