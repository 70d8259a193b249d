"""OpenSSH's server on this machine, on 127.0.0.1 and with keys of its own: a board without a board.

Where an arm64 board is wanted, its sessions have namespaces in which the kernel starts programs for
arm64 with QEMU.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from far_end import UNAME
from phone import BINFMT

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
# What sshd wants to be there when root starts it, in a /run of its own.
WITH_RUN = ["unshare", "--mount", "sh", "-c",
            'mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec "$@"', "sh"]  # fmt: skip
NAMESPACES = ["unshare", "--user", "--map-root-user", "--mount"]
# Where its standard input ends, so do the namespaces.
ARM64 = (
    """\
set -e
cd /
mount --bind {folder}/cpuinfo proc/cpuinfo
"""
    + BINFMT
    + """\
echo held
read -r end
"""
)
ENTER = """\
#!/bin/sh
export QEMU_LD_PREFIX={folder}/qemu QEMU_CPU={cpu} PATH={folder}/tools:$PATH
exec nsenter -t {pid} -U -m --preserve-credentials sh -c "$SSH_ORIGINAL_COMMAND"
"""


def missing() -> str:
    """What of all that it needs is not here, "" where it is."""
    if SSHD is None or shutil.which("ssh-keygen") is None:
        return "OpenSSH's server is not here: apt-get install openssh-server"
    return ""


@dataclass
class Server:
    """An sshd of our own, on 127.0.0.1."""

    folder: Path
    there: Path
    """Where it has folders made."""
    process: subprocess.Popen[bytes]

    def client(self, path: Path) -> None:
        """Write an `ssh` that knows this server, and nothing else of this machine."""
        path.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {self.folder}/config "$@"\n')
        path.chmod(0o755)

    def end_connections(self) -> None:
        """As a network does that breaks: end what serves the connections, not the server."""
        for child in self.connections():
            subprocess.run(["kill", "-9", *_with_descendants(child)], check=False)

    def connections(self) -> list[str]:
        """Process ids of what serves them."""
        return (
            Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        )


def _with_descendants(pid: str) -> list[str]:
    """A connection's processes: sshd's own, not what they started."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    if not words.startswith(b"sshd"):
        return []
    return [pid, *(each for child in children for each in _with_descendants(child))]


@contextmanager
def serving(folder: Path, cpu: str = "") -> Iterator[Server]:
    """A server in an empty folder; its hosts are in the folder's `config`. cpu: one of the
    emulator's, for an arm64 board."""
    there = folder / "there"
    there.mkdir()
    for name in ("host", "other_host", "user", "noisy", "stranger"):
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(key, check=True)
    with ExitStack() as stack:
        if cpu:
            stack.enter_context(_arm64(folder, cpu))
        port = _free_port()
        _configure(folder, there, port, f"ForceCommand {folder}/enter\n" if cpu else "")
        command = [str(SSHD), "-D", "-f", str(folder / "sshd_config"), "-E", str(folder / "log")]
        process = subprocess.Popen([*WITH_RUN, *command] if os.getuid() == 0 else command)
        stack.callback(process.wait, 10)
        stack.callback(process.terminate)
        _wait_for(port, folder / "log")
        yield Server(folder, there, process)


@contextmanager
def _arm64(folder: Path, name: str) -> Iterator[None]:
    """Hold namespaces in which arm64 programs start, and write `enter`, which goes there."""
    from edgedistill.devices.emulator.cpus import CPUS, write_root

    cpu = CPUS[name]
    write_root(cpu, folder / "qemu")
    (folder / "cpuinfo").write_text(cpu.cpuinfo)
    (folder / "tools").mkdir()
    (folder / "tools" / "uname").write_text(f"#!/bin/sh\n{UNAME}\n")
    (folder / "tools" / "uname").chmod(0o755)
    script = ARM64.format(folder=folder, qemu=shutil.which("qemu-aarch64"))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([*NAMESPACES, "sh", "-c", script], **pipes) as held:
        assert held.stdout
        assert held.stdout.readline() == b"held\n"
        enter = ENTER.format(folder=folder, cpu=cpu.qemu, pid=held.pid)
        (folder / "enter").write_text(enter)
        (folder / "enter").chmod(0o755)
        yield


def _free_port() -> int:
    with socket.socket() as given:
        given.bind(("127.0.0.1", 0))
        port: int = given.getsockname()[1]
        return port


def _configure(folder: Path, there: Path, port: int, more: str) -> None:
    keys = {name: (folder / f"{name}.pub").read_text() for name in ("host", "user", "noisy")}
    loud = 'command="echo \'Welcome!\'; eval \\"$SSH_ORIGINAL_COMMAND\\""'
    (folder / "authorized_keys").write_text(f"{keys['user']}{loud} {keys['noisy']}")
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {keys['host']}")
    other = (folder / "other_host.pub").read_text()
    (folder / "changed_hosts").write_text(f"[127.0.0.1]:{port} {other}")
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nStrictModes no\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nPidFile {folder}/pid\nUsePAM no\n"
        f"PermitRootLogin prohibit-password\nPasswordAuthentication no\n"
        f"SetEnv TMPDIR={there} XDG_CACHE_HOME={there}\nMaxStartups 100\n{more}"
    )
    key = f"IdentityFile {folder}/user\n"
    hosts = {
        "board": key,
        "noisy": f"IdentityFile {folder}/noisy\n",
        "stranger": f"IdentityFile {folder}/stranger\n",
        "unknown": f"{key}UserKnownHostsFile /dev/null\n",
        "changed": f"{key}UserKnownHostsFile {folder}/changed_hosts\n",
        "nobody-listens": f"Port {_free_port()}\n",
        "nowhere": "HostName no..such..name\n",
    }
    (folder / "config").write_text(
        "".join(f"Host {name}\n{more}" for name, more in hosts.items())
        + f"Host *\nHostName 127.0.0.1\nPort {port}\nUser {getpass.getuser()}\n"
        f"IdentitiesOnly yes\nIdentityAgent none\n"
        f"UserKnownHostsFile {folder}/known_hosts\nGlobalKnownHostsFile /dev/null\n"
    )


def _wait_for(port: int, log: Path) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(log.read_text())
