"""Headless Chromium, driven through a pipe.

The DevTools protocol over two pipes (`--remote-debugging-pipe`) needs no port that others could
reach, and the browser ends by itself when they close, however this process ended.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

from edgedistill.errors import UserError, printable

SETTING = "EDGEDISTILL_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = """
--headless --remote-debugging-pipe --no-first-run --no-default-browser-check --mute-audio
--disable-background-networking --disable-component-update --disable-sync --disable-quic
--disable-default-apps --disable-extensions --disable-domain-reliability --disable-breakpad
--disable-client-side-phishing-detection --metrics-recording-only --no-pings --no-proxy-server
--disable-background-timer-throttling --disable-renderer-backgrounding
--disable-backgrounding-occluded-windows --password-store=basic --use-mock-keychain
""".split()
_WITHOUT = "--disable-features=" + ",".join((
    "WebUIOmniboxPopup", "WebUIOmniboxAimPopup",  # pages of the browser's own, which take time
    "Translate", "MediaRouter", "OptimizationHints", "NetworkTimeServiceQuerying",
))  # fmt: skip
# What the browser would still call has no address then.
_ONLY_HERE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
_TO_START = 60.0
"""Seconds for the browser to answer at all."""
_TO_END = 5.0
"""Seconds between asking the browser to end and ending it."""
_TO_DIE = 1.0
"""Seconds that killed processes may take to be gone; where nobody reaps them they never are."""
_BUSY = "{ const end = performance.now() + 200; while (performance.now() < end); }"
_PIPE = 1 << 20
_NO_WORDS = re.compile(r":ERROR:dbus/|dconf-CRITICAL|^#\d+ ")
"""Lines of the browser's log that are of no error: what a desktop would have, and stack frames."""


def find() -> str:
    """The path of an installed Chromium: $EDGEDISTILL_CHROMIUM, or the first of `NAMES` on PATH.

    Raises UserError: there is none.
    """
    told = os.environ.get(SETTING)
    if told:
        found = shutil.which(told)
        if found is None:
            raise UserError(
                f"${SETTING}: no such program: {told}", "give the path of a Chromium or a Chrome"
            )
        return found
    for name in NAMES:
        found = shutil.which(name)
        if found is not None:
            return found
    raise UserError(
        f"no browser: none of {', '.join(NAMES)} is on PATH",
        f"apt-get install chromium, or set ${SETTING} to the path of a Chromium or a Chrome",
    )


class Ended(Exception):
    """The browser, or the page in it, is no more; says its last words."""


class Failed(Exception):
    """The page threw; says what."""


class Chromium:
    """A browser with one page, for as long as the context is open.

    folder: where its profile and what it logs go.
    """

    def __init__(self, folder: Path, gpu: bool = False) -> None:
        self._folder, self._gpu = folder, gpu
        self._log = folder / "chromium.log"
        self._sent, self._rest, self._session = 0, b"", ""
        self._thrown: list[str] = []
        self._said: list[str] = []

    def __enter__(self) -> Chromium:
        binary = find()
        self._in, answers = _pipe()
        commands, self._out = _pipe()
        self._short = tempfile.TemporaryDirectory(dir="/tmp")  # a socket's path has 107 bytes
        try:
            self._process = self._start(binary, commands, answers)
        except OSError as error:
            os.close(self._in)
            os.close(self._out)
            raise Ended(f"{binary} does not start: {error.strerror}") from None
        finally:
            os.close(commands)
            os.close(answers)
        return self

    def _start(self, binary: str, commands: int, answers: int) -> int:
        # Its own sandbox is the one thing that Chromium refuses to have for root.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        gpu = ["--enable-unsafe-webgpu"] if self._gpu else ["--disable-gpu"]
        profile = f"--user-data-dir={self._folder / 'profile'}"
        arguments = [binary, *_FLAGS, _WITHOUT, _ONLY_HERE, *sandbox, *gpu, profile, "about:blank"]
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDWR)
        places = [(null, 0), (log, 1), (log, 2), (commands, 3), (answers, 4)]
        try:
            return os.posix_spawn(
                binary,
                arguments,
                {**os.environ, "HOME": str(self._folder), "TMPDIR": self._short.name},
                file_actions=[(os.POSIX_SPAWN_DUP2, ours, theirs) for ours, theirs in places],
                setsid=True,
            )
        finally:
            os.close(log)
            os.close(null)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(Ended, Failed, OSError):
            self.ask("Browser.close", seconds=_TO_END, of_page=False)
        for end in (self._out, self._in):
            os.close(end)
        _wait(self._process, _TO_END)
        # All of its processes are in the group that it began; none is to be left.
        with suppress(ProcessLookupError):
            os.killpg(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        _wait_for_group(self._process, _TO_DIE)
        self._short.cleanup()

    def open(self, address: str) -> None:
        """Open the page and wait until its scripts have run. Raises Ended, Failed."""
        seconds = _TO_START
        page = self._first_page(seconds)
        attached = self.ask(
            "Target.attachToTarget", seconds, of_page=False, targetId=page, flatten=True
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Inspector"):
            self.ask(f"{domain}.enable", seconds)
        self.ask("Page.navigate", seconds, url=address)
        self._until("Page.loadEventFired", seconds)

    def _first_page(self, seconds: float) -> str:
        """The page that the browser starts with, which may take a moment to be there."""
        end = time.monotonic() + seconds
        while True:
            known = self.ask("Target.getTargets", seconds, of_page=False)["targetInfos"]
            for each in known:
                if each["type"] == "page":
                    return str(each["targetId"])
            if time.monotonic() > end:
                self._died(f"it has opened no page within {seconds:g} s")
            time.sleep(0.02)

    def evaluate(self, code: str, seconds: float) -> Any:
        """What a JavaScript expression is, awaited where it is a promise, as JSON has it.

        Raises Failed: it threw. Ended: the browser or the page died or took longer than `seconds`.
        """
        found = self.ask(
            "Runtime.evaluate", seconds, expression=code, awaitPromise=True, returnByValue=True
        )
        thrown = found.get("exceptionDetails")
        if thrown:
            raise Failed(_in_words(thrown))
        return found["result"].get("value")

    def version(self) -> str:
        """As `156.0.8078.108`."""
        told = self.ask("Browser.getVersion", _TO_START, of_page=False)
        return str(told["product"]).partition("/")[2]

    def page_process(self) -> int:
        """The number of the page's process: of those that render, the one that is busy when the
        page is."""
        before = self._renderers()
        self.evaluate(_BUSY, _TO_START)
        after = self._renderers()
        return max(after, key=lambda process: after[process] - before.get(process, 0.0))

    def _renderers(self) -> dict[int, float]:
        """Seconds that each process that renders has worked, by its number."""
        told = self.ask("SystemInfo.getProcessInfo", _TO_START, of_page=False)["processInfo"]
        return {each["id"]: each["cpuTime"] for each in told if each["type"] == "renderer"}

    def ask(self, method: str, seconds: float, of_page: bool = True, **parameters: Any) -> Any:
        """The answer to a command of the DevTools protocol.

        Raises Failed: it was refused. Ended: as `evaluate` does.
        """
        self._sent += 1
        order = {"id": self._sent, "method": method, "params": parameters}
        if of_page:
            order["sessionId"] = self._session
        end = time.monotonic() + seconds
        content = json.dumps(order).encode() + b"\0"
        while content:
            if not select.select([], [self._out], [], max(0.0, end - time.monotonic()))[1]:
                self._died(f"it has not taken {method} within {seconds:g} s")
            try:
                # So much a pipe takes at once where it takes anything.
                content = content[os.write(self._out, content[: select.PIPE_BUF]) :]
            except BrokenPipeError:
                self._died("it has ended")
        while True:
            message = self._receive(method, end, seconds)
            if message.get("id") == self._sent:
                break
        if "error" in message:
            raise Failed(f"{method}: {message['error']['message']}")
        return message["result"]

    def _until(self, event: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self._receive(event, end, seconds).get("method") != event:
            pass

    def _receive(self, what: str, end: float, seconds: float) -> Any:
        """The next message of the browser."""
        parts = [self._rest]
        while b"\0" not in parts[-1]:
            if not select.select([self._in], [], [], max(0.0, end - time.monotonic()))[0]:
                self._died(f"it has not answered {what} within {seconds:g} s")
            parts.append(os.read(self._in, _PIPE))
            if not parts[-1]:
                self._died("it has ended")
        line, self._rest = b"".join(parts).split(b"\0", 1)
        message = json.loads(line)
        self._note(message)
        return message

    def _note(self, message: Any) -> None:
        """Keep what the page says; of a page that died, tell."""
        method, given = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self._thrown.append(_in_words(given["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and given["type"] == "error":
            said = [str(each.get("value", each.get("description"))) for each in given["args"]]
            self._said.append(" ".join(said))
        elif method == "Inspector.targetCrashed":
            self._died("its page crashed (out of memory, or a fault of the runtime)")

    def last_words(self) -> str:
        """The last line that the page threw, said, or the browser logged; "" for none."""
        log = ""
        with suppress(OSError):
            log = self._log.read_text(errors="replace")
        for words in (*self._thrown[-1:], *self._said[-1:], log):
            lines = [line for line in map(str.strip, words.splitlines())
                     if line and not _NO_WORDS.search(line)]  # fmt: skip
            if lines:
                return printable(lines[-1])[:300]
        return ""

    def _died(self, how: str) -> NoReturn:
        words = self.last_words()
        raise Ended(f"{how}; its last words: {words}" if words else f"{how}, without a word")


def _wait(process: int, seconds: float) -> None:
    """Until a child has ended, but no longer; it stays to be waited for."""
    end = time.monotonic() + seconds
    how = os.WEXITED | os.WNOWAIT | os.WNOHANG
    while os.waitid(os.P_PID, process, how) is None and time.monotonic() < end:
        time.sleep(0.01)


def _wait_for_group(group: int, seconds: float) -> None:
    """Until no process of a group is left, but no longer: a signal is sent before it has killed."""
    end = time.monotonic() + seconds
    with suppress(ProcessLookupError, PermissionError):  # the second: macOS, of dead ones
        while time.monotonic() < end:
            os.killpg(group, 0)
            time.sleep(0.01)


def _pipe() -> tuple[int, int]:
    """A pipe with numbers above those that a child gets."""
    import fcntl  # a package for the web is written where there is none

    found = []
    for end in os.pipe():
        found.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10))
        os.close(end)
    return found[0], found[1]


def _in_words(thrown: Any) -> str:
    """What was thrown, without the stack."""
    what = thrown.get("exception", {})
    told = str(what.get("description", what.get("value", thrown.get("text", "")))).splitlines()
    return printable(told[0])[:300] if told else "without a word"
