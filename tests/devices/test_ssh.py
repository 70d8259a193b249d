"""Devices behind ssh: what ssh's words mean, and OpenSSH's own server on this machine."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from far_end import processes

from edgedistill.devices import native, ssh
from edgedistill.devices.job import Job, Protocol
from edgedistill.devices.remote import device
from edgedistill.errors import UserError


@pytest.fixture
def job(tiny_onnx: Path, tmp_path: Path) -> Job:
    inputs = tmp_path / "inputs.npz"
    np.savez(inputs, pixels=np.random.default_rng(0).random((2, 1, 8, 8), dtype=np.float32))
    return Job(tiny_onnx, "onnxruntime", inputs, Protocol(runs=5, minimum=5, seconds=1))


def a_program(folder: Path, name: str, script: str) -> None:
    """Write a program into a folder."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
Host key for pi has changed and you have requested strict checking.
Host key verification failed.
"""


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ("Host key verification failed.", "ssh:pi: this computer does not know its host key",
         "run `ssh pi` once"),
        (CHANGED, "ssh:pi: its host key is not the one that this computer knows", "ssh-keygen -R"),
        ("ssh: Could not resolve hostname pi: Name or service not known",
         "ssh:pi: no host of that name is known", "`Host` entry"),
        ("root@pi: Permission denied (publickey,password).",
         "ssh:pi: it does not let this user in by key: root@pi: Permission denied "
         "(publickey,password).", "ssh-copy-id pi"),
        ("ssh: connect to host pi port 22: Connection refused",
         "ssh:pi: it cannot be reached: ssh: connect to host pi port 22: Connection refused",
         "is it on"),
        ("ssh: connect to host pi port 22: Connection timed out",
         "ssh:pi: it cannot be reached: ssh: connect to host pi port 22: Connection timed out",
         "is it on"),
        ("Bad owner or permissions on /home/me/.ssh/config",
         "ssh:pi: Bad owner or permissions on /home/me/.ssh/config", "see whether `ssh pi true`"),
        ("", "ssh:pi: without a word", "see whether `ssh pi true`"),
    ],
)  # fmt: skip
def test_what_ssh_says_comes_with_a_way_out(
    said: str, message: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "said").write_text(said)
    a_program(tmp_path, "ssh", f"cat {tmp_path}/said >&2; exit 255")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(UserError) as raised, ssh.open_device("pi"):
        pass
    assert raised.value.message == message
    assert hint in raised.value.hint


@pytest.mark.parametrize("host", ["-oProxyCommand=true", "two words", "", "a\nb"])
def test_what_is_no_host_is_refused_at_once(host: str) -> None:
    with pytest.raises(UserError, match=r"is no host|which host\?"):
        ssh.open_device(host)


def test_a_machine_without_ssh_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="ssh is not on PATH"), ssh.open_device("pi"):
        pass
    finding, _ = ssh.examine()
    assert (finding.ok, finding.told) == (False, "ssh is not on PATH")
    a_program(tmp_path, "ssh", "true")
    assert ssh.examine()[0].ok


SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
real = pytest.mark.ssh


@dataclass
class Server:
    """An sshd of the tests' own, on 127.0.0.1."""

    folder: Path
    there: Path
    """Where it has folders made."""
    process: subprocess.Popen[bytes]

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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if SSHD is None or shutil.which("ssh-keygen") is None:
        pytest.skip("OpenSSH's server is not here: apt-get install openssh-server")
    folder = tmp_path_factory.mktemp("sshd")
    there = folder / "there"
    there.mkdir()
    for name in ("host", "other_host", "user", "noisy", "stranger"):
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(key, check=True)
    port = _free_port()
    _configure(folder, there, port)
    command = [SSHD, "-D", "-f", str(folder / "sshd_config"), "-E", str(folder / "log")]
    process = subprocess.Popen([*WITH_RUN, *command] if os.getuid() == 0 else command)
    try:
        _wait_for(port, folder / "log")
        yield Server(folder, there, process)
    finally:
        process.terminate()
        process.wait(10)


def _free_port() -> int:
    with socket.socket() as given:
        given.bind(("127.0.0.1", 0))
        port: int = given.getsockname()[1]
        return port


# What sshd wants to be there when root starts it, in a /run of its own.
WITH_RUN = ["unshare", "--mount", "sh", "-c",
            'mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec "$@"', "sh"]  # fmt: skip


def _configure(folder: Path, there: Path, port: int) -> None:
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
        f"SetEnv TMPDIR={there} XDG_CACHE_HOME={there}\nMaxStartups 100\n"
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


@pytest.fixture
def board(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server, and an `ssh` on PATH that has a configuration of its own."""
    (tmp_path / "bin").mkdir()
    client = shutil.which("ssh")
    a_program(tmp_path / "bin", "ssh", f'exec {client} -F {server.folder}/config "$@"')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setenv("EDGEDISTILL_DEVICES", str(server.folder / "private"))
    yield server
    assert list(server.there.iterdir()) == []
    assert processes(server.there) == []


@real
@pytest.mark.parametrize("host", ["board", "noisy"])
def test_a_job_gives_there_what_it_gives_here(board: Server, job: Job, host: str) -> None:
    from edgedistill.runtimes import RUNTIMES

    with ssh.open_device(host) as far:
        record = far.run(job)
        identity = far.identity()
    here = RUNTIMES["onnxruntime"].load(job.model, 1)
    wanted = here.answer({"pixels": np.load(job.inputs)["pixels"]})
    assert len(record.samples_ms) == 5
    assert record.cold_load_ms is not None
    assert record.cold_load_ms > 0
    np.testing.assert_array_equal(record.outputs["logits"], wanted["logits"])
    assert record.operators
    assert [set(each.facts) >= {"load"} for each in record.conditions] == [True, True]
    assert identity.isa == os.uname().machine
    assert identity.system == f"Linux {os.uname().release}"


@real
def test_memory_is_measured_there(board: Server, job: Job) -> None:
    with ssh.open_device("board") as far:
        record = far.run(replace(job, memory=True))
    assert record.samples_ms == []
    assert record.peak_memory_mb is not None
    assert 0.1 < record.peak_memory_mb < 200


@real
@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("unknown", "ssh:unknown: this computer does not know its host key"),
        ("changed", "ssh:changed: its host key is not the one that this computer knows"),
        ("stranger", "ssh:stranger: it does not let this user in by key: .*Permission denied"),
        ("nobody-listens", "ssh:nobody-listens: it cannot be reached: .*Connection refused"),
        ("nowhere", "ssh:nowhere: no host of that name is known"),
    ],
)
def test_a_host_that_is_not_to_be_trusted_or_not_there_is_told(
    board: Server, host: str, message: str
) -> None:
    with pytest.raises(UserError, match=message), ssh.open_device(host):
        pass


def _runs_instead(board: Server, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    a_program(board.folder, "edgedistill_runner", script)
    path = board.folder / "edgedistill_runner"
    monkeypatch.setattr(native, "runner", lambda isa: path)


@real
def test_a_runner_that_hangs_is_ended_there(
    board: Server, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    _runs_instead(board, monkeypatch, "echo thinking >&2; exec sleep 1000")
    monkeypatch.setattr(device, "_PATIENCE", 0.0)
    with ssh.open_device("board") as far:
        with pytest.raises(UserError, match="has not ended within 1 s: thinking"):
            far.run(job)
        assert processes(board.there) == []


INTERRUPTED = """
import sys
from pathlib import Path
from edgedistill.devices import native, ssh
from edgedistill.devices.job import Job, Protocol

native.runner = lambda isa: Path(sys.argv[3])
with ssh.open_device("board") as far:
    far.run(Job(Path(sys.argv[1]), "onnxruntime", Path(sys.argv[2]), Protocol(seconds=1)))
"""


@real
def test_ctrl_c_ends_the_runner_there_and_leaves_nothing(
    board: Server, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    _runs_instead(board, monkeypatch, "exec sleep 1000")
    words = [str(job.model), str(job.inputs), str(board.folder / "edgedistill_runner")]
    process = subprocess.Popen([sys.executable, "-c", INTERRUPTED, *words], stderr=subprocess.PIPE)
    _wait_until_it_runs(board)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert said.decode().rstrip().endswith("KeyboardInterrupt")


@real
def test_a_process_that_is_killed_leaves_no_connection(board: Server, job: Job) -> None:
    script = "from edgedistill.devices import ssh; ssh.Ssh('board').open(); input()"
    process = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
    while not board.connections():
        time.sleep(0.05)
    process.kill()
    process.wait()
    until = time.monotonic() + 10
    while board.connections() and time.monotonic() < until:
        time.sleep(0.05)
    assert board.connections() == []


def _wait_until_it_runs(board: Server) -> None:
    until = time.monotonic() + 60
    while not any("sleep 1000" in words for words in processes(board.there)):
        assert time.monotonic() < until
        time.sleep(0.05)


@real
def test_a_network_that_breaks_while_a_job_runs_is_told_and_nothing_is_left(
    board: Server, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    _runs_instead(board, monkeypatch, "exec sleep 1000")

    def cut() -> None:
        _wait_until_it_runs(board)
        board.end_connections()

    thread = threading.Thread(target=cut, daemon=True)
    thread.start()
    with pytest.raises(UserError) as raised, ssh.open_device("board") as far:
        far.run(job)
    thread.join(10)
    assert raised.value.message.startswith(
        "ssh:board: lost while measuring tiny.onnx in onnxruntime: "
    )
    assert raised.value.hint == "see whether `ssh board true` ends well, then run the same command"
