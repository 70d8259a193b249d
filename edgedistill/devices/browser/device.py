"""One browser after another: what it is, and what a job takes in it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from edgedistill.devices.browser.chromium import Chromium, Ended, Failed, find
from edgedistill.devices.browser.memory import peak_mb
from edgedistill.devices.browser.order import Order, order_of, outputs_of
from edgedistill.devices.browser.packages import PACKAGES, files
from edgedistill.devices.browser.server import serving
from edgedistill.devices.job import Conditions, Identity, Job, Record, Unfit
from edgedistill.devices.machine import machine
from edgedistill.errors import UserError
from edgedistill.scratch import scratch_folder

if TYPE_CHECKING:
    from edgedistill.records import How

_PAGE = Path(__file__).parent / "page"
_PATIENCE = 600.0
"""Seconds that a run may take beside its measuring."""
_OPEN_SIZE = "does not match expected ranked tensor type"
"""What LiteRT.js says of an input with an axis of any size."""


class Browser:
    """See `edgedistill.devices.Device`."""

    runtimes: tuple[str, ...] = ("onnxruntime", "litert")
    runs_programs = False

    def __init__(self, name: str, backend: str) -> None:
        self.name, self._backend = name, backend
        self.how: How = "measured"
        self._seen: dict[str, Any] = {}

    def __enter__(self) -> Browser:
        """Start the browser once, to see what it is.

        Raises UserError: it or the packages are missing, it does not start, or has no WebGPU.
        """
        with (
            scratch_folder() as folder,
            _told(self.name, f"see that `{find()} --headless` starts"),
            _page(folder, {}, {}, self._is_gpu) as browser,
        ):
            wants_gpu = json.dumps(self._is_gpu)
            self._seen = browser.evaluate(f"edgedistill.describe({wants_gpu})", _PATIENCE)
            self._seen["version"] = browser.version()
        missing = self._seen["gpu"].get("missing")
        if missing:
            raise UserError(
                f"{self.name}: no WebGPU: {missing}",
                "it needs a GPU that the browser can use; `--device browser` needs none",
            )
        if self._seen["gpu"].get("software"):
            # The same kernels, and no GPU to take their times of.
            self.how = "emulated"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing outlives a run."""

    @property
    def _is_gpu(self) -> bool:
        return self._backend == "webgpu"

    def identity(self) -> Identity:
        """The browser, the processor that it runs on, and the adapter that WebGPU has."""
        here, gpu = machine(), self._seen["gpu"]
        # What `threads` says of the browser is true of the run only where it has several.
        flags = [flag for flag in self._seen["flags"]
                 if flag != "threads" or self._backend == "wasm-threads"]  # fmt: skip
        return Identity(
            name=f"{_adapter(gpu) if gpu else here['processor']}, {self._backend}",
            isa="wasm32",
            flags=tuple(flags),
            system=f"Chromium {self._seen['version']}",
            facts={
                "backend": self._backend,
                "processor": here["processor"],
                "processors": str(self._seen["processors"]),
                **{f"gpu_{key}": str(value) for key, value in gpu.items() if value != ""},
            },
            versions={package.name: package.version for package in PACKAGES},
        )

    def run(self, job: Job) -> Record:
        """Load and run a file on a page.

        Raises Unfit: LiteRT.js has no tensors of the file's types or sizes. UserError: the
        runtime's web build lacks something else, or the page or the browser died or took too long.
        """
        self._check(job)
        about = f"{job.model.name} in {job.runtime}, {self.name}"
        way = "the file is damaged, or holds what the runtime's web build lacks"
        before = Conditions(-1.0, {"load": os.getloadavg()[0]})
        with scratch_folder() as folder, _told(about, way):
            order = order_of(job, self._backend, folder)
            with _page(folder, order.given, order.taken, self._is_gpu) as browser:
                prepare = f"edgedistill.prepare({json.dumps(order.said)})"
                import_ms = browser.evaluate(prepare, _PATIENCE)
                if job.memory:
                    peak = peak_mb(browser, _PATIENCE)
                    return Record(None, None, [], peak, signature=order.signature)
                patience = _PATIENCE + max(job.protocol.seconds, job.protocol.minimum_seconds)
                found = browser.evaluate("edgedistill.measure()", patience)
            record = _record(found, import_ms, order, before)
        return record if self.how == "measured" else _without_times(record)

    def _check(self, job: Job) -> None:
        if job.runtime not in self.runtimes:
            raise UserError(
                f"{self.name}: {job.runtime} does not run in a browser",
                f"measure a file of {' or '.join(self.runtimes)}",
            )
        threads = job.protocol.threads
        if threads > 1 and self._backend != "wasm-threads":
            raise UserError(
                f"{self.name} runs one thread, not {threads}", "--device browser:wasm-threads"
            )


def _adapter(gpu: Mapping[str, Any]) -> str:
    named = [str(gpu[key]) for key in ("vendor", "architecture", "description") if gpu[key]]
    return " ".join(named) or "an adapter without a name"


@contextmanager
def _page(
    folder: Path, given: Mapping[str, Path], taken: Mapping[str, Path], gpu: bool
) -> Iterator[Chromium]:
    """A browser with our page open, which has these files of a job beside its own."""
    own = {f"page/{file.name}": file for file in _PAGE.glob("*.js")}
    every = {"index.html": _PAGE / "index.html", **own, **files(), **given}
    with serving(every, taken) as address, Chromium(folder, gpu) as browser:
        browser.open(f"{address}index.html")
        yield browser


@contextmanager
def _told(about: str, way: str) -> Iterator[None]:
    """What the page or the browser fails with, as something the user can mend."""
    try:
        yield
    except Failed as error:
        if _OPEN_SIZE in str(error):
            way = "LiteRT.js takes no axis of any size: convert the model anew with a batch of 1"
            raise Unfit(f"{about}: {error}", way) from None
        raise UserError(f"{about}: {error}", way) from None
    except Ended as error:
        raise UserError(f"{about}: {error}", f"{way}, or memory ran out") from None


def _record(found: Mapping[str, Any], import_ms: float, order: Order, before: Conditions) -> Record:
    facts: dict[str, str | float] = {
        "clock_step_us": round(found["clock_step_us"], 3),
        "runs_in_a_sample": found["runs_in_a_sample"],
        **found["told"],
    }
    return Record(
        import_ms=import_ms,
        cold_load_ms=found["cold_load_ms"],
        warm_load_ms=found["warm_load_ms"],
        warmup_ms=found["warmup_ms"],
        samples_ms=found["samples_ms"],
        peak_memory_mb=None,
        outputs=outputs_of(order, found["outputs"]) if found["outputs"] else {},
        signature=order.signature,
        conditions=[before, Conditions(0.0, facts)],
    )


def _without_times(record: Record) -> Record:
    return replace(
        record, import_ms=None, cold_load_ms=None, warm_load_ms=None, warmup_ms=[], samples_ms=[]
    )
