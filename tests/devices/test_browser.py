"""What of the browser can be told without one."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgedistill.devices import Job, Protocol
from edgedistill.devices.browser import chromium, examine, open_device, packages
from edgedistill.devices.browser.order import check_types, order_of
from edgedistill.devices.browser.packages import Package
from edgedistill.devices.browser.server import HEADERS, serving
from edgedistill.errors import UserError
from edgedistill.signature import Signature, TensorSpec
from edgedistill.target import load_target


def script(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "private"
    monkeypatch.setenv("EDGEDISTILL_DEVICES", str(folder))
    return folder


@pytest.fixture
def set_up(private: Path) -> None:
    """Packages with nothing in them, for what never gets as far as to read them."""
    for package in packages.PACKAGES:
        packages.place(package).mkdir(parents=True)


@pytest.fixture
def job(tiny_onnx: Path, tmp_path: Path) -> Job:
    inputs = tmp_path / "inputs.npz"
    np.savez(inputs, pixels=np.random.default_rng(0).random((3, 1, 8, 8), dtype=np.float32))
    return Job(tiny_onnx, "onnxruntime", inputs)


def test_an_unknown_backend_is_told_at_once() -> None:
    with pytest.raises(UserError) as error:
        open_device("wasm-thread")
    assert str(error.value) == (
        "browser: unknown backend `wasm-thread`\nhint: did you mean `wasm-threads`?"
    )


def test_one_thread_is_wasm_and_several_are_asked_for(job: Job) -> None:
    job = replace(job, protocol=Protocol(threads=4))
    with pytest.raises(UserError) as error:
        open_device("").run(job)
    assert str(error.value) == (
        "browser runs one thread, not 4\nhint: --device browser:wasm-threads"
    )


def test_a_runtime_without_a_web_build_is_refused(job: Job) -> None:
    with pytest.raises(UserError, match="browser:wasm: openvino does not run in a browser"):
        open_device("wasm").run(replace(job, runtime="openvino"))


def test_a_browser_that_is_named_must_be_there(
    private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(chromium.SETTING, "/no/such/chromium")
    with pytest.raises(UserError, match=r"\$EDGEDISTILL_CHROMIUM: no such program: /no/such/chr"):
        open_device("").__enter__()
    told = {each.what: each for each in examine()}
    assert not told["browser"].ok
    assert not told["web runtimes"].ok
    assert told["web runtimes"].get == "edgedistill device setup browser"


def test_no_browser_on_the_path_says_how_to_get_one(
    set_up: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(chromium.SETTING, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError) as error:
        open_device("").__enter__()
    assert error.value.hint.startswith("apt-get install chromium, or set $EDGEDISTILL_CHROMIUM")
    told = {each.what: each for each in examine()}
    assert told["web runtimes"].ok


def test_what_is_not_set_up_is_named(
    private: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(chromium.SETTING, str(script(tmp_path / "browser", "exit 0")))
    with pytest.raises(UserError) as error:
        open_device("").__enter__()
    missing = ", ".join(f"{each.name} {each.version}" for each in packages.PACKAGES)
    assert str(error.value) == (
        f"browser: not set up: {missing} missing\nhint: edgedistill device setup browser"
    )


def test_the_last_words_of_a_browser_that_ends_are_told(
    set_up: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = "echo '[1:1:ERROR:dbus/bus.cc:405] no bus' >&2"
    browser = script(tmp_path / "browser", "echo 'No usable sandbox!' >&2", noise, "exit 3")
    monkeypatch.setenv(chromium.SETTING, str(browser))
    with pytest.raises(UserError) as error:
        open_device("").__enter__()
    assert error.value.message == "browser: it has ended; its last words: No usable sandbox!"


def test_a_browser_that_hangs_is_ended_with_its_children(
    set_up: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = script(tmp_path / "browser", f"sleep 60 & echo $! > {tmp_path}/child; wait")
    monkeypatch.setenv(chromium.SETTING, str(browser))
    monkeypatch.setattr(chromium, "_TO_START", 0.4)
    monkeypatch.setattr(chromium, "_TO_END", 0.1)
    with pytest.raises(UserError) as error:
        open_device("").__enter__()
    assert error.value.message == (
        "browser: it has not answered Target.getTargets within 0.4 s, without a word"
    )
    assert not _runs(int((tmp_path / "child").read_text()))


def _runs(process: int) -> bool:
    """Whether a process is more than a name that nobody has waited for, within a second."""
    for _ in range(20):
        try:
            status = Path(f"/proc/{process}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        if "State:\tZ" in status:
            return False
        time.sleep(0.05)
    return True


def test_no_pipe_stays_open_after_a_browser(
    set_up: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for what in ("exit 1", None):
        browser = script(tmp_path / "browser", what or "")
        if what is None:
            browser.write_bytes(b"\x7fELF no program")
        monkeypatch.setenv(chromium.SETTING, str(browser))
        with pytest.raises(UserError):
            open_device("").__enter__()
    assert len(os.listdir("/proc/self/fd")) == before


def test_an_order_has_the_inputs_as_the_file_takes_them(job: Job, tmp_path: Path) -> None:
    folder = tmp_path / "order"
    folder.mkdir()
    order = order_of(job, "wasm", folder)
    assert order.said["inputs"] == [{"name": "pixels", "dtype": "float32", "shape": [1, 1, 8, 8]}]
    assert order.said["outputs"] == ["logits"]
    assert order.said["samples"] == 3
    assert list(order.taken) == ["job/output/0"]
    pixels = np.fromfile(order.given["job/input/0"], np.float32).reshape(3, 1, 8, 8)
    np.testing.assert_array_equal(pixels, np.load(job.inputs)["pixels"])


def test_types_that_litert_js_lacks_are_told_with_the_way_out() -> None:
    images, logits = TensorSpec("images", (1, 8, 8, 3), "NHWC", "int8"), TensorSpec("y", (1, 3))
    check_types("tiny.tflite", Signature((logits,), (logits,)))
    with pytest.raises(UserError) as error:
        check_types("tiny.tflite", Signature((images,), (logits,)))
    assert error.value.message == (
        "tiny.tflite: LiteRT.js takes float32, int32 and uint8, and `images` is int8"
    )
    assert "`io: float`, as `web-wasm` does" in error.value.hint
    assert load_target("web-wasm").scheme.io == "float"


def test_an_emulated_gpu_has_a_row_without_figures(
    tiny_onnx: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from edgedistill import api
    from edgedistill.command_line import run

    row = {"device": "browser:webgpu", "file": "tiny.onnx", "how": "emulated", "size_kb": 0.4,
           "instructions": {}, "where": "a software adapter"}  # fmt: skip
    monkeypatch.setattr(api, "benchmark", lambda *given, **named: [row])
    assert run(["benchmark", str(tiny_onnx), "--device", "browser:webgpu"]) == 0
    told = capsys.readouterr()
    assert "p50_ms" not in told.out
    assert "browser:webgpu: emulated: a software adapter" in told.err


class TestServer:
    @pytest.fixture
    def address(self, tmp_path: Path) -> Iterator[str]:
        (tmp_path / "page.js").write_text("1 + 1")
        (tmp_path / "model.wasm").write_bytes(b"\0asm")
        given = {"page.js": tmp_path / "page.js", "model.wasm": tmp_path / "model.wasm"}
        with serving(given, {"output": tmp_path / "output"}) as address:
            yield address

    def test_isolates_the_page_and_says_what_files_are(self, address: str) -> None:
        for name, kind in (
            ("page.js", "text/javascript; charset=utf-8"), ("model.wasm", "application/wasm"),
        ):  # fmt: skip
            with urllib.request.urlopen(address + name) as answer:
                assert answer.headers["Content-Type"] == kind
                assert HEADERS.items() <= dict(answer.headers).items()
                assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
                assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"

    def test_listens_on_this_machine_alone(self, address: str) -> None:
        assert address.startswith("http://127.0.0.1:")

    @pytest.mark.parametrize("path", ["", "other.js", "../page.js", "%2e%2e/page.js", "output"])
    def test_has_no_other_file(self, address: str, path: str) -> None:
        assert _refused(address + path) == 404

    def test_has_nothing_outside_its_secret_folder(self, address: str) -> None:
        assert _refused(address.rsplit("/", 2)[0] + "/page.js") == 404

    def test_knows_no_other_name_of_itself(self, address: str) -> None:
        asked = urllib.request.Request(address + "page.js", headers={"Host": "example.org"})
        assert _refused(asked) == 404

    def test_adds_what_is_sent_to_the_file_that_takes_it(
        self, address: str, tmp_path: Path
    ) -> None:
        for part in (b"ab", b"c"):
            with urllib.request.urlopen(address + "output", data=part) as answer:
                assert answer.status == 204
        assert (tmp_path / "output").read_bytes() == b"abc"

    def test_takes_nothing_elsewhere(self, address: str, tmp_path: Path) -> None:
        asked = urllib.request.Request(address + "page.js", data=b"other")
        assert _refused(asked) == 404
        assert (tmp_path / "page.js").read_text() == "1 + 1"

    def test_takes_nothing_of_unknown_or_absurd_length(self, address: str) -> None:
        for length in ("-1", "x", str(1 << 40)):
            asked = urllib.request.Request(
                address + "output", data=b"1", headers={"Content-Length": length}
            )
            assert _refused(asked) == 400


def _refused(asked: str | urllib.request.Request) -> int:
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(asked, timeout=5)
    error.value.close()
    return error.value.code


class TestSetup:
    @pytest.fixture
    def package(
        self, private: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> tuple[Package, Path]:
        """A package, and an npm that packs it and notes that it was called."""
        archive = tmp_path / "archive.tgz"
        with tarfile.open(archive, "w:gz") as packed:
            for name in ("package/dist/run.mjs", "package/dist/run.d.ts", "package/README.md"):
                content = tarfile.TarInfo(name)
                content.size = 4
                packed.addfile(content, io.BytesIO(b"code"))
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        made = Package("@some/web", "1.2.3", f"sha512-{digest}", 1, "web", ("dist/*.mjs",))
        bin_ = tmp_path / "bin"
        bin_.mkdir()
        calls = tmp_path / "calls"
        script(bin_ / "npm", f'echo "$@" >> {calls}', f"cp {archive} some-web-1.2.3.tgz")
        monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
        monkeypatch.setattr(packages, "PACKAGES", (made,))
        return made, calls

    def test_brings_what_a_page_needs_once(
        self, package: tuple[Package, Path], private: Path
    ) -> None:
        said: list[str] = []
        left = private / "browser" / ".web-1.2.3.part" / "dist"
        left.mkdir(parents=True)  # by a setup that was killed
        (left / "half.mjs").touch()
        packages.setup(said.append)
        packages.setup(said.append)
        assert said == ["@some/web 1.2.3: 1 MB through npm", "@some/web 1.2.3 is there"]
        assert package[1].read_text().split()[:2] == ["pack", "@some/web@1.2.3"]
        assert len(package[1].read_text().splitlines()) == 1
        folder = private / "browser" / "web-1.2.3"
        assert {each.name for each in folder.parent.iterdir()} == {folder.name, ".lock"}
        file = folder / "dist" / "run.mjs"
        assert packages.files() == {"web/dist/run.mjs": file}
        assert file.read_text() == "code"

    def test_takes_no_other_package_than_the_pinned_one(
        self, package: tuple[Package, Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = replace(package[0], integrity="sha512-AAAA")
        monkeypatch.setattr(packages, "PACKAGES", (other,))
        with pytest.raises(UserError, match=r"1\.2\.3 is not the package that was pinned: sha512-"):
            packages.setup(lambda text: None)
        assert not packages.place(package[0]).exists()

    def test_tells_what_npm_says_when_it_fails(
        self, package: tuple[Package, Path], tmp_path: Path
    ) -> None:
        script(tmp_path / "bin" / "npm", "echo 'npm error code E404' >&2", "exit 1")
        with pytest.raises(UserError) as error:
            packages.setup(lambda text: None)
        assert error.value.message == (
            "browser: npm cannot fetch @some/web@1.2.3: npm error code E404"
        )
        assert not packages.place(package[0]).exists()

    def test_says_how_to_get_npm(
        self, package: tuple[Package, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(UserError, match="npm is not on PATH") as error:
            packages.setup(lambda text: None)
        assert error.value.hint == "apt-get install npm"
