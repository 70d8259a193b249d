"""What adb's words mean; and Android's own adbd on this machine, whole and at fault."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exported import Exported
from far_end import UNAME, missing_for_arm64, processes
from phone import DISK_MB, SERIAL, Phone, missing
from stand_in import built, tflite
from test_remote_facts import BATTERY, GETPROP, SAMSUNG

from edgedistill.devices import adb, native
from edgedistill.devices.benchmark_model import found
from edgedistill.devices.emulator.cpus import CPUS
from edgedistill.devices.job import Job, Protocol
from edgedistill.devices.remote import device, folder
from edgedistill.errors import UserError
from edgedistill.runtimes import RUNTIMES

PHONES = """\
* daemon not running; starting now at tcp:5037
* daemon started successfully
List of devices attached
39071FDJH00ABC         device usb:1-1 product:shiba model:Pixel_8 device:shiba transport_id:3
192.168.1.7:5555       offline product:x transport_id:4
R58M12ABCDE            unauthorized usb:1-2 transport_id:5
0123456789ABCDEF       no permissions (user in plugdev group; are your udev rules wrong?); see [x]
emulator-5554	device

"""


def test_a_list_of_devices_is_read() -> None:
    assert [str(each) for each in adb.listed(PHONES)] == [
        "39071FDJH00ABC (Pixel 8)",
        "192.168.1.7:5555 (offline)",
        "R58M12ABCDE (unauthorized)",
        "0123456789ABCDEF (no permissions)",
        "emulator-5554",
    ]
    assert adb.listed("List of devices attached\n\n") == []
    assert adb.listed("") == []


@pytest.mark.parametrize(
    ("listed", "serial", "message", "hint"),
    [
        ([], "", "adb: no device is connected", "turn on USB debugging"),
        ([("A", "device", "Pixel 8"), ("B", "offline", "")], "",
         "adb: 2 devices are connected: A (Pixel 8), B (offline)", "say which, as `--dev"),
        ([("A", "device", "Pixel 8")], "C",
         "adb:C: no such device; connected: A (Pixel 8)", "turn on USB debugging"),
        ([("A", "unauthorized", "")], "",
         "adb:A: the phone has not allowed this computer to debug it", "unlock it"),
        ([("A", "offline", "")], "A", "adb:A: the device is offline", "adb reconnect offline"),
        ([("A", "no permissions", "")], "",
         "adb:A: this user may not open its USB device", "plugdev"),
        ([("A", "recovery", "")], "",
         "adb:A: the device is in the state `recovery`", "let it start Android"),
    ],
)  # fmt: skip
def test_what_adb_lists_and_cannot_be_used_comes_with_a_way_out(
    listed: list[tuple[str, str, str]], serial: str, message: str, hint: str
) -> None:
    with pytest.raises(UserError) as raised:
        adb.chosen([adb.Listed(*each) for each in listed], serial)
    assert raised.value.message == message
    assert hint in raised.value.hint


def test_the_only_device_is_taken_or_the_one_that_was_asked_for() -> None:
    one, other = adb.Listed("A", "device", ""), adb.Listed("B", "device", "")
    assert adb.chosen([one], "") == "A"
    assert adb.chosen([one, other], "B") == "B"


@pytest.mark.parametrize("serial", ["-s", "two words", "a\nb"])
def test_what_is_no_serial_is_refused_at_once(serial: str) -> None:
    with pytest.raises(UserError, match="is no serial"):
        adb.open_device(serial)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`fake(script)`: an `adb` that does that, alone on PATH with sh's own tools."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")

    def write(script: str) -> None:
        path = tmp_path / "bin" / "adb"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    return write


def test_a_machine_without_adb_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="adb is not on PATH"), adb.open_device(""):
        pass
    finding, _ = adb.examine()
    assert (finding.ok, finding.told) == (False, "adb is not on PATH")


def test_a_server_that_does_not_start_is_told(fake: Callable[[str], None]) -> None:
    fake("echo '* failed to start daemon' >&2; exit 1")
    with pytest.raises(UserError, match=r"adb devices: \* failed to start daemon"):
        adb.open_device("").__enter__()


def test_a_device_that_vanishes_is_told_though_adb_ends_well(
    fake: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_COMES_BACK", 0.1)
    fake('[ "$1" = devices ] && printf "List of devices attached\\nA\\tdevice\\n"; exit 0')
    with pytest.raises(UserError) as raised, adb.open_device(""):
        pass
    assert raised.value.message == (
        "adb: lost while asking which device it is: the connection broke without a word"
    )


def test_the_doctor_asks_a_server_that_runs_and_starts_none(
    fake: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "listed").write_text(PHONES)
    fake(f"cat {tmp_path}/listed")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.getsockname()[1]))
        finding, _ = adb.examine()
        assert not finding.ok
        assert "its server is not running" in finding.told
        server.listen()
        found = [(each.what, each.ok) for each in adb.examine()[:-1]]
    assert found == [
        ("adb:39071FDJH00ABC", True),
        ("adb:192.168.1.7:5555", False),
        ("adb:R58M12ABCDE", False),
        ("adb:0123456789ABCDEF", False),
        ("adb:emulator-5554", True),
    ]


# Android's own adbd.

TOOLS = {
    "getprop": f"cat <<'END'\n{GETPROP}END",
    "dumpsys": f"""case $1 in
thermalservice) cat <<'END'
{SAMSUNG}END
;;
battery) cat <<'END'
{BATTERY}END
;;
esac""",
    "cmd": '[ "$1 $2" = "thermalservice headroom" ] && echo "Headroom in $3 seconds: 0.71"',
}


def _phone(path: Path, tools: dict[str, str], cpu: str = "") -> Iterator[Phone]:
    if missing():
        pytest.skip(missing())
    phone = Phone(path, tools, cpu)
    try:
        yield phone
    finally:
        phone.end()


@pytest.fixture(scope="module")
def pixel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phone]:
    """A phone with this machine's processor."""
    yield from _phone(tmp_path_factory.mktemp("pixel"), TOOLS)


@pytest.fixture(scope="module", params=["cortex-a76", "cortex-a53"])
def arm64(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Phone, str]]:
    """A phone with an arm64 processor, emulated, and which; the older one is of ARMv8.0."""
    if missing_for_arm64():
        pytest.skip(missing_for_arm64())
    cpu = str(request.param)
    for phone in _phone(tmp_path_factory.mktemp(cpu), TOOLS | {"uname": UNAME}, cpu):
        yield phone, cpu


@pytest.fixture
def connected(pixel: Phone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Phone]:
    """The phone alone behind the `adb` on PATH; after a test, nothing is left there."""
    yield from _connected(pixel, tmp_path, monkeypatch)


def _connected(phone: Phone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Phone]:
    (tmp_path / "bin").mkdir()
    phone.client(tmp_path / "bin" / "adb")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    yield phone
    assert list(phone.disk.iterdir()) == []
    assert processes(phone.there) == []


def _job(exported: Exported, runtime: str, tmp_path: Path, precision: str = "int8") -> Job:
    inputs = tmp_path / "inputs.npz"
    np.savez(inputs, pixels=exported.pixels(4))
    protocol = Protocol(warmup=2, runs=5, minimum=5, seconds=1)
    return Job(exported.file(runtime, precision), runtime, inputs, protocol)


def _here(job: Job) -> np.ndarray:
    """What the Python package says here, in the file's own values."""
    loaded = RUNTIMES[job.runtime].load(job.model, 1)
    native_inputs = loaded.encode({"pixels": np.load(job.inputs)["pixels"]})
    rows = [
        loaded.run({name: values[at : at + 1] for name, values in native_inputs.items()})["logits"]
        for at in range(4)
    ]
    return np.concatenate([row.copy() for row in rows])


@pytest.mark.adb
@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_a_phone_answers_as_this_machine_does_and_tells_how_it_was(
    connected: Phone, exported: Exported, runtime: str, tmp_path: Path
) -> None:
    job = _job(exported, runtime, tmp_path)
    with adb.open_device("") as phone:
        record = phone.run(job)
        identity = phone.identity()
    np.testing.assert_array_equal(record.outputs["logits"], _here(job))
    assert len(record.samples_ms) == 5
    assert record.operators
    assert (identity.name, identity.system) == ("Pixel 8", "Android 15")
    assert set(identity.versions) >= {"ai-edge-litert", "onnxruntime"}
    assert identity.facts["soc"] == "Google Tensor G3"
    assert len(record.conditions) == 2
    for each in record.conditions:
        assert set(each.facts) == {
            "thermal_status", "thermal_headroom", "skin_c", "battery_percent", "charging", "load",
        }  # fmt: skip


@pytest.mark.adb
@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_an_arm64_phone_runs_our_programs_with_a_loader_of_their_own(
    arm64: tuple[Phone, str],
    exported: Exported,
    runtime: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = _job(exported, runtime, tmp_path, "fp32")
    for _ in _connected(arm64[0], tmp_path, monkeypatch):
        with adb.open_device(SERIAL) as phone:
            record = phone.run(job)
            identity = phone.identity()
        assert identity.isa == "aarch64"
        assert identity.flags == CPUS[arm64[1]].flags
        np.testing.assert_allclose(record.outputs["logits"], _here(job), atol=1e-5)


@pytest.mark.adb
def test_benchmark_model_measures_on_an_arm64_phone(
    arm64: tuple[Phone, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tflite(tmp_path / "tiny.tflite")
    by = found(built(tmp_path, model, cc="aarch64-linux-gnu-gcc"), "xnnpack")
    assert by.isa == "aarch64"
    for _ in _connected(arm64[0], tmp_path, monkeypatch):
        with adb.open_device(SERIAL) as phone:
            record = phone.run(Job(model, "litert", tmp_path, Protocol(runs=12), by=by))
    assert record.summary
    assert record.summary.runs == 12
    assert [row.type for row in record.operators] == ["ABS", "NEG", "ZEROS_LIKE"]


@pytest.mark.adb
def test_a_serial_that_is_not_there_is_told_with_those_that_are(connected: Phone) -> None:
    with pytest.raises(UserError) as raised, adb.open_device("nothing"):
        pass
    assert raised.value.message == f"adb:nothing: no such device; connected: {SERIAL}"


@pytest.mark.adb
def test_several_devices_are_told_and_one_of_them_is_chosen(connected: Phone) -> None:
    other = SERIAL.replace("127.0.0.1", "localhost")
    subprocess.run(["adb", "connect", other], capture_output=True, timeout=20, check=True)
    try:
        with pytest.raises(UserError) as raised, adb.open_device(""):
            pass
        with adb.open_device(other) as phone:
            assert phone.identity().name == "Pixel 8"
    finally:
        subprocess.run(["adb", "disconnect", other], capture_output=True, timeout=20, check=True)
    assert raised.value.message == f"adb: 2 devices are connected: {SERIAL}, {other}"


def _when(happened: Callable[[], bool], then: Callable[[], None]) -> threading.Thread:
    """Do something here as soon as something has happened there."""

    def watch() -> None:
        until = time.monotonic() + 60
        while not happened() and time.monotonic() < until:
            time.sleep(0.001)
        then()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


@pytest.mark.adb
def test_adbd_that_ends_in_a_push_is_told_and_cleaned_up_when_it_is_back(
    connected: Phone, tmp_path: Path
) -> None:
    big = tmp_path / "big"
    big.write_bytes(bytes(60_000_000))

    def cut() -> None:
        connected.pull_the_cable()
        time.sleep(2)
        connected.start()
        connected.connect()

    thread = _when(lambda: any(connected.disk.glob("edgedistill-*/big")), cut)
    with pytest.raises(UserError) as raised, adb.open_device("") as phone:
        phone._folder.keep({"big": big})
    thread.join()
    assert raised.value.message.startswith("adb: lost while copying big: ")
    assert raised.value.hint == adb.Adb.way_out


@pytest.mark.adb
def test_adbd_that_ends_in_a_run_is_told_and_cleaned_up_when_it_is_back(
    connected: Phone, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _runs_instead(tmp_path, monkeypatch, "exec sleep 1000")

    def cut() -> None:
        connected.pull_the_cable()
        time.sleep(2)
        assert _sleeps(connected)
        connected.start()
        connected.connect()

    thread = _when(lambda: _sleeps(connected), cut)
    with pytest.raises(UserError) as raised, adb.open_device("") as phone:
        phone.run(_job(exported, "litert", tmp_path))
    thread.join()
    assert raised.value.message.startswith("adb: lost while measuring tiny")
    assert "left" not in raised.value.hint


def _sleeps(phone: Phone) -> bool:
    return any("sleep 1000" in words for words in processes(phone.there))


def _runs_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    path = tmp_path / "edgedistill_runner"
    path.write_text(f"#!/bin/sh\n{script}\n")
    monkeypatch.setattr(native, "runner", lambda isa: path)


@pytest.mark.adb
def test_adbd_that_does_not_come_back_is_told_with_what_it_left(
    connected: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "_COMES_BACK", 1.0)
    with pytest.raises(UserError) as raised, adb.open_device(SERIAL):
        connected.pull_the_cable()
    assert f" was left on adb:{SERIAL} (" in raised.value.message
    connected.start()
    connected.connect()
    (left,) = connected.disk.iterdir()
    assert raised.value.message.startswith(f"/data/local/tmp/{left.name} was left")
    left.rmdir()


@pytest.mark.adb
def test_a_disk_that_fills_up_in_a_push_is_told(
    connected: Phone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = tmp_path / "big"
    big.write_bytes(bytes(1_000_000 * (DISK_MB + 40)))
    monkeypatch.setattr(folder.Folder, "_must_have_room", lambda self, files: None)
    with pytest.raises(UserError) as raised, adb.open_device("") as phone:
        phone._folder.keep({"big": big})
    assert raised.value.message.startswith("adb: failed while copying big: adb: error: failed to")
    assert raised.value.message.endswith("No space left on device")


@pytest.mark.adb
def test_a_disk_with_too_little_room_is_told_first(connected: Phone, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(bytes(1_000_000 * (DISK_MB + 40)))
    words = r"adb: \d+\.\d MB are free at /data/local/tmp/\S+, and 136.0 MB are needed"
    with pytest.raises(UserError, match=words), adb.open_device("") as phone:
        phone._folder.keep({"big": big})


@pytest.mark.adb
def test_a_full_disk_is_told_as_a_device_is_opened(connected: Phone) -> None:
    filling = connected.disk / "filling"
    filling.write_bytes(bytes(1_000_000 * (DISK_MB - 10)))
    try:
        with pytest.raises(UserError) as raised, adb.open_device(""):
            pass
    finally:
        filling.unlink()
    assert raised.value.message.startswith("adb: no place to measure in (/data/local/tmp: only ")


@pytest.mark.adb
def test_a_runner_that_hangs_on_a_phone_is_ended_there(
    connected: Phone, exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _runs_instead(tmp_path, monkeypatch, "echo thinking >&2; exec sleep 1000")
    monkeypatch.setattr(device, "_PATIENCE", 0.0)
    with adb.open_device("") as phone:
        with pytest.raises(UserError, match="has not ended within 1 s: thinking"):
            phone.run(_job(exported, "litert", tmp_path))
        assert not _sleeps(connected)


@pytest.mark.adb
def test_memory_is_measured_on_a_phone(
    connected: Phone, exported: Exported, tmp_path: Path
) -> None:
    with adb.open_device("") as phone:
        record = phone.run(replace(_job(exported, "litert", tmp_path), memory=True))
    assert record.peak_memory_mb is not None
    assert 0.05 < record.peak_memory_mb < 100
