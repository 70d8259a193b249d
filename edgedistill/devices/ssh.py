"""A Linux board or server behind ssh, with the user's own keys and configuration.

Nothing is asked on the way: no password, no passphrase, and no host key is taken that the user has
not taken before.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from subprocess import CompletedProcess
from typing import IO

from edgedistill.devices.findings import Finding
from edgedistill.devices.remote import facts
from edgedistill.devices.remote.device import Remote
from edgedistill.devices.remote.link import (
    Answer,
    Refused,
    answer,
    call,
    ending,
    last_words,
    patience,
    text,
)
from edgedistill.devices.remote.setup import for_arm64, setup
from edgedistill.errors import UserError
from edgedistill.scratch import scratch_folder

__all__ = ["Ssh", "examine", "open_device", "setup"]

_TO_CONNECT = 60.0
"""Seconds to get in; without an answer, ssh itself waits for 10."""
_GET = "`apt-get install openssh-client`"
_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "10",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "6",
    "ClearAllForwardings": "yes",
    "RemoteCommand": "none",
    "RequestTTY": "no",
    "LogLevel": "ERROR",
}
"""Never ask, notice within half a minute that the other end is gone, and do nothing else that the
user's configuration may have for a person's own session. Host keys are the configuration's."""
_FAULTS = (
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key is not the one that this computer knows",
        "if it was installed anew, `ssh-keygen -R` its address, then `ssh {host}` and compare the "
        "fingerprint; if not, somebody may stand in between",
    ),
    (
        "Host key verification failed",
        "this computer does not know its host key",
        "run `ssh {host}` once, compare the fingerprint with the one on the device, and say yes",
    ),
    (
        "Could not resolve hostname",
        "no host of that name is known",
        "check the name, or give it a `Host` entry in ~/.ssh/config",
    ),
    (
        "Permission denied|Too many authentication failures",
        "it does not let this user in by key: {said}",
        "`ssh-copy-id {host}`, and `ssh-add` where the key has a passphrase; "
        "`ssh -o BatchMode=yes {host} true` must end well",
    ),
    (
        "timed out|refused|No route to host|unreachable",
        "it cannot be reached: {said}",
        "is it on, in this network, and is the port right? `ssh {host} true` must end well",
    ),
)
"""What ssh says, what is wrong, and the way out."""
_BEGIN = b"edgedistill begins\n"
"""Goes before a file, after whatever the user's shell prints as it starts."""


class Ssh:
    """The link that `ssh` gives to one host."""

    places = ("${TMPDIR:-/tmp}", "/var/tmp", "$HOME")
    conditions = facts.LINUX

    def __init__(self, host: str) -> None:
        self.name = f"ssh:{host}"
        self.way_out = f"see whether `ssh {host} true` ends well, then run the same command"
        self._host = host
        self._open = ExitStack()
        self._shared = "none"

    def open(self) -> None:
        """Connect, once for all that follows. Raises UserError: ssh is missing, or it does not get
        in."""
        if shutil.which("ssh") is None:
            raise UserError("ssh is not on PATH", _GET)
        folder = self._open.enter_context(scratch_folder())
        self._shared = str(folder / "ssh")
        said = self._open.enter_context((folder / "said").open("w+b"))
        # Its input is a pipe: it ends with this process, however that ends.
        master = subprocess.Popen(
            self._command("cat", master="yes"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        self._open.callback(_end, master)
        until = time.monotonic() + _TO_CONNECT
        while not Path(self._shared).exists():
            late = time.monotonic() > until
            if master.poll() is not None or late:
                said.seek(0)
                raise self._fault(text(said.read()) or ("timed out" if late else ""))
            time.sleep(0.05)

    def close(self) -> None:
        """End that connection."""
        self._open.close()

    def run(self, script: str, seconds: float = 60.0) -> Answer:
        """Run a script with the host's sh, whatever the user's own shell is. Raises Lost."""
        with tempfile.TemporaryFile() as given:
            given.write(ending(script).encode())
            given.seek(0)
            return answer(self._ssh("sh", seconds, given))

    def push(self, files: Mapping[str, Path], folder: str) -> None:
        """Copy files there, as one archive: one connection."""
        with tempfile.TemporaryFile() as given:
            with tarfile.open(fileobj=given, mode="w") as archive:
                for name, path in files.items():
                    archive.add(path.resolve(), arcname=name)
            given.seek(0)
            done = self._ssh(f"tar -xof - -C {folder}", patience(files.values()), given)
        self._must_have_ended(done)

    def pull(self, names: Iterable[str], folder: str, into: Path) -> None:
        """Copy files from there, as one archive."""
        wanted = set(names)
        begin = f"echo {_BEGIN.decode().strip()}"
        script = f"{begin} && tar -cf - -C {folder} {' '.join(sorted(wanted))}"
        done = self._ssh(script, patience([]))
        self._must_have_ended(done)
        with tarfile.open(fileobj=io.BytesIO(done.stdout.partition(_BEGIN)[2])) as archive:
            for member in archive:
                content = archive.extractfile(member)
                if content and member.name in wanted:
                    (into / member.name).write_bytes(content.read())

    def _must_have_ended(self, done: CompletedProcess[bytes]) -> None:
        if done.returncode:
            self.run(":", 30)  # Lost, where that was why
            raise Refused(last_words(done.stderr) or f"tar failed with {done.returncode}")

    def _fault(self, said: str) -> UserError:
        words = {"host": self._host, "said": last_words(said) or "without a word"}
        for sign, wrong, way_out in _FAULTS:
            if re.search(sign, said):
                return UserError(f"{self.name}: {wrong.format(**words)}", way_out.format(**words))
        return UserError(f"{self.name}: {words['said']}", self.way_out)

    def _ssh(
        self, command: str, seconds: float, given: IO[bytes] | None = None
    ) -> CompletedProcess[bytes]:
        return call(self._command(command), seconds, given)

    def _command(self, command: str, master: str = "no") -> list[str]:
        """Over the shared connection, or one of its own where that has broken."""
        shared = {"ControlMaster": master, "ControlPath": self._shared, "ControlPersist": "no"}
        options = [f"-o{key}={value}" for key, value in (_OPTIONS | shared).items()]
        return ["ssh", *options, "--", self._host, command]


def _end(master: subprocess.Popen[bytes]) -> None:
    master.terminate()
    try:
        master.wait(5)
    except subprocess.TimeoutExpired:
        master.kill()


def open_device(host: str) -> Remote:
    """A host as ssh knows it: an address, user@address, or a name of the user's configuration.

    Raises UserError: it is none.
    """
    if not re.fullmatch(r"[!-,.-~][!-~]*", host):
        raise UserError(
            f"ssh: {host!r} is no host" if host else "ssh: which host?",
            "as `--device ssh:pi@raspberrypi`, or a `Host` of ~/.ssh/config",
        )
    return Remote(Ssh(host))


def examine() -> list[Finding]:
    """Whether ssh is here, and what arm64 devices are given."""
    path = shutil.which("ssh")
    told = path or "ssh is not on PATH"
    return [Finding("ssh", path is not None, told, "" if path else _GET), for_arm64()]
