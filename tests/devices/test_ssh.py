"""Devices behind ssh: what ssh's words mean, and OpenSSH's own server on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exported import Exported
from far_end import missing_for_arm64, processes
from sshd import Server, missing, serving
from stand_in import built, tflite

from edgedistill.devices import local, native, ssh
from edgedistill.devices.benchmark_model import found
from edgedistill.devices.emulator.cpus import CPUS
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


real = pytest.mark.ssh


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    if missing():
        pytest.skip(missing())
    with serving(tmp_path_factory.mktemp("sshd")) as found:
        yield found


@pytest.fixture
def board(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server, and an `ssh` on PATH that has a configuration of its own."""
    (tmp_path / "bin").mkdir()
    server.client(tmp_path / "bin" / "ssh")
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
def test_benchmark_model_measures_there(board: Server, tmp_path: Path) -> None:
    model = tflite(tmp_path / "tiny.tflite")
    by = found(built(tmp_path, model), "xnnpack")
    with ssh.open_device("board") as far:
        record = far.run(Job(model, "litert", tmp_path, Protocol(runs=12), by=by))
    assert record.summary
    assert record.summary.runs == 12
    assert [row.type for row in record.operators] == ["ABS", "NEG", "ZEROS_LIKE"]
    assert len(record.conditions) == 2


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
import signal
import sys
from pathlib import Path

# A shell that starts the tests in the background has them ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)

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


@real
@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_an_arm64_board_gives_what_this_machine_gives(
    exported: Exported, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if missing() or missing_for_arm64():
        pytest.skip(missing() or missing_for_arm64())
    inputs = tmp_path / "inputs.npz"
    np.savez(inputs, pixels=exported.pixels(4))
    protocol = Protocol(warmup=2, runs=5, minimum=5, seconds=1)
    job = Job(exported.file(runtime, "fp32"), runtime, inputs, protocol)
    for name in ("sshd", "bin"):
        (tmp_path / name).mkdir()
    with serving(tmp_path / "sshd", "cortex-a76") as server:
        server.client(tmp_path / "bin" / "ssh")
        monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
        with ssh.open_device("board") as far:
            record, identity = far.run(job), far.identity()
        assert list(server.there.iterdir()) == []
    assert (identity.isa, identity.flags) == ("aarch64", CPUS["cortex-a76"].flags)
    here = local.Local().run(job)
    np.testing.assert_allclose(record.outputs["logits"], here.outputs["logits"], atol=1e-5)
