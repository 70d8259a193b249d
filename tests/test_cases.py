"""Inputs that once failed in somebody's hands, run as they were, where they are at hand."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks.common import DATA
from edgedistill.bundle import write_bundle

CASES = DATA / "cases"
pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not CASES.is_dir(), reason="the cases are not at hand"),
]
Make = Callable[..., Any]
MINI = ["--target", str(CASES / "mini_target.yaml")]


def edgedistill(
    folder: Path, *words: object, seconds: float = 60, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in `folder`, its cache there too, by a person who has a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "edgedistill", *map(str, words)],
        cwd=folder,
        env={**os.environ, "EDGEDISTILL_CACHE": str(folder / "cache"), **environment},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=seconds,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def refused(folder: Path, *words: object, **options: Any) -> str:
    """What a command says that ends with exit code 2, an error and a hint, and nothing else."""
    done = edgedistill(folder, *words, **options)
    assert done.returncode == 2, done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    assert re.search(r"^error: .*\n(.*\n)*hint: ", done.stderr, re.MULTILINE), done.stderr
    assert all(char.isprintable() or char == "\n" for char in done.stderr)
    return done.stderr


def minimal() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CASES / "mini.yaml").read_text())
    return found


def files(name: str, pattern: str) -> list[Path]:
    return sorted((CASES / name).glob(pattern)) if CASES.is_dir() else []


def ids(path: Path) -> str:
    return path.name


def mini(folder: Path, **changes: Any) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(
        yaml.safe_dump({**yaml.safe_load((CASES / "mini.yaml").read_text()), **changes})
    )
    return path


DOCUMENTS = ("yaml_tags", "yaml_bomb", "numbers")


@pytest.mark.parametrize("path", [p for n in DOCUMENTS for p in files(n, "*.yaml")], ids=ids)
def test_documents(tmp_path: Path, path: Path) -> None:
    refused(tmp_path, "check", path, seconds=10)


@pytest.mark.parametrize("path", files("parquet_corrupt", "*.parquet"), ids=ids)
def test_parquet(tmp_path: Path, path: Path) -> None:
    data = {"source": "parquet", "train": str(path), "test": str(path), "image_size": 16,
            "channels": 1}  # fmt: skip
    refused(tmp_path, "compile", mini(tmp_path, data=data), *MINI)


@pytest.fixture
def bundle(make_result: Make, tmp_path: Path) -> Path:
    return write_bundle(make_result(), tmp_path / "bundle").path


@pytest.mark.parametrize("path", files("npz_corrupt", "*.npz"), ids=ids)
def test_npz(bundle: Path, tmp_path: Path, path: Path) -> None:
    refused(tmp_path, "evaluate", bundle, "--data", path)


def test_onnx_with_names_that_are_no_text(tmp_path: Path) -> None:
    (path,) = files("onnx_unicode", "*.onnx")
    done = edgedistill(tmp_path, "benchmark", path, "--runs", 10)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


def test_tflite_that_aborts(tmp_path: Path) -> None:
    (path,) = files("tflite_abort", "*.tflite")
    assert "the process that ran it died" in refused(tmp_path, "benchmark", path)
    teacher = {"family": "tflite", "path": str(path)}
    stages = minimal()["stages"]
    changed = mini(tmp_path, teacher=teacher, stages={**stages, "teacher": {}})
    assert "died" in refused(tmp_path, "compile", changed, *MINI)


@pytest.mark.parametrize("out", ["a/b/multi", "multi"])
def test_target_name(tmp_path: Path, out: str) -> None:
    target = CASES / "target_name_escape" / "t.yaml"
    told = refused(tmp_path, "compile", CASES / "mini.yaml", "-t", target, *MINI, "--out", out)
    assert "../../escaped" in told
    assert not (tmp_path / "a").exists() and not (tmp_path.parent / "escaped").exists()


def test_out(tmp_path: Path) -> None:
    (tmp_path / "fb").mkdir()
    (tmp_path / "fb" / "edgedistill.json").write_text('{"bundle_format": 3}')
    (tmp_path / "fb" / "thesis.doc").write_text("x")
    refused(tmp_path, "compile", CASES / "mini.yaml", *MINI, "--out", "fb")
    assert (tmp_path / "fb" / "thesis.doc").read_text() == "x"


def test_bundle_that_names_code(tmp_path: Path) -> None:
    shutil.copytree(CASES / "bundle_runs_code" / "bundle", tmp_path / "bundle")
    for command in ("evaluate", "audit"):
        edgedistill(tmp_path / "bundle", command, ".")
    assert "`helper:data`" in refused(tmp_path / "bundle", "evaluate", ".")
    assert not list(tmp_path.rglob("PWNED*"))


def test_postscript(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "gs").write_text(f"#!/bin/sh\ntouch {tmp_path}/PWNED\n")
    (tmp_path / "bin" / "gs").chmod(0o755)
    shutil.copytree(CASES / "eps_ghostscript", tmp_path / "photos")
    (tmp_path / "photos" / "README").unlink()
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    assert "x.png" in refused(tmp_path, "drift", bundle, "--data", "photos", PATH=path)
    assert not (tmp_path / "PWNED").exists()


@pytest.mark.parametrize("body", ["def f(s): return None", "def f(s): raise KeyError(s)"])
def test_user_data(tmp_path: Path, body: str) -> None:
    (tmp_path / "d.py").write_text(body)
    data = {"source": "function", "function": "d:f", "classes": ["a", "b"], "image_size": 8}
    refused(tmp_path, "compile", mini(tmp_path, data=data), *MINI)


@pytest.mark.parametrize("code", [0, 7])
def test_user_teacher(tmp_path: Path, code: int) -> None:
    (tmp_path / "t.py").write_text(f"import sys\ndef f(images): sys.exit({code})")
    stages = minimal()["stages"]
    teacher = {"family": "python", "function": "t:f"}
    changed = mini(tmp_path, teacher=teacher, stages={**stages, "teacher": {}})
    assert "t.py line 2" in refused(tmp_path, "compile", changed, *MINI)


def test_duplicate_classes(tmp_path: Path) -> None:
    images = np.zeros((30, 8, 8), np.uint8)
    np.savez(tmp_path / "x.npz", images=images, labels=np.arange(30) % 3)
    data = {"source": "arrays", "train": "x.npz", "test": "x.npz", "classes": ["a", "a", "a"],
            "image_size": 8, "channels": 1}  # fmt: skip
    assert "`a`" in refused(tmp_path, "check", mini(tmp_path, data=data))


def test_class_folder_that_is_no_text(tmp_path: Path) -> None:
    from PIL import Image

    for name in (b"cat", b"\xff\xfe"):
        folder = os.path.join(os.fsencode(tmp_path), b"train", name)
        os.makedirs(folder)
        for number in range(12):
            image = Image.fromarray(np.full((8, 8), 20 * number, np.uint8))
            image.save(os.fsdecode(os.path.join(folder, b"%d.png" % number)))
    data = {"source": "folder", "train": "train", "image_size": 8, "channels": 1}
    assert r"\xff\xfe" in refused(tmp_path, "compile", mini(tmp_path, data=data), *MINI)


def test_secrets_of_an_endpoint(tmp_path: Path) -> None:
    recipe = CASES / "url_secret_in_cache" / "recipe.yaml"
    for command in ("check", "compile"):
        told = refused(tmp_path, command, recipe, TOKEN1="one", TOKEN2="two")
        assert not re.search("[A-Z]secret", told)
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or not re.search(b"[A-Z]secret", path.read_bytes())


def test_bodies_of_an_endpoint(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, CASES / "gzip_bomb" / "bad.py"], cwd=tmp_path, capture_output=True,
        text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "TRACEBACK" not in done.stdout and "LEAK" not in done.stdout
    for line in done.stdout.splitlines():
        found = re.match(r"(\S+) +([0-9.]+)s \+(-?\d+)MB", line)
        if found and found[1] not in ("slow_10GB", "never_answers"):
            assert float(found[2]) < 10 and int(found[3]) < 200, line


POISON = """
import json, os, pathlib, torch
from edgedistill.artifact import seal
class Code:
    def __reduce__(self):
        return os.system, ("touch PWNED",)
for folder in pathlib.Path("cache/artifacts").glob("quantize-*"):
    said = json.loads((folder / "artifact.json").read_text())
    for program in folder.glob("programs/*.program"):
        torch.save(Code(), program)
    (folder / "artifact.json").unlink()
    seal(folder, said["kind"], said["metrics"], said["made_by"])
"""
"""What the case's own script does to programs as they were kept then."""


def test_cache_that_holds_code(tmp_path: Path) -> None:
    words = ["compile", CASES / "mini.yaml", *MINI, "--out", "bundle"]
    assert edgedistill(tmp_path, *words, seconds=300).returncode in (0, 1)
    subprocess.run([sys.executable, "-c", POISON], cwd=tmp_path, check=True, timeout=60)
    for made in ("export", "verify"):  # made again, they read the programs
        shutil.rmtree(next(tmp_path.glob(f"cache/artifacts/{made}-*")))
    done = edgedistill(tmp_path, *words, seconds=300)
    assert "dropped a damaged entry" in done.stderr
    assert done.returncode in (0, 1)
    assert not list(tmp_path.rglob("PWNED*"))


def compiled(name: str, folder: Path) -> tuple[subprocess.CompletedProcess[str], Path]:
    """A case's recipe, compiled for phones; the bundle it may have left."""
    for file in (CASES / name).iterdir():
        shutil.copy(file, folder / file.name)
    words = ["compile", "recipe.yaml", "--target", "android-arm64", "--out", "bundle"]
    done = edgedistill(folder, *words, seconds=600)
    assert "Traceback" not in done.stderr, done.stderr[-2000:]
    return done, folder / "bundle"


def report_of(bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bundle / "report.json").read_text())
    return found


@pytest.mark.parametrize("name", ["avgpool_ceil", "channel_shuffle", "mha_ptq"])
def test_right_models_are_written(tmp_path: Path, name: str) -> None:
    done, bundle = compiled(name, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(list(bundle.glob("*.int8.*"))) >= 3
    float_quality, *others = (row["quality"] for row in report_of(bundle)["files"])
    assert max(abs(float_quality - other) for other in others) < 5


@pytest.mark.parametrize("name", ["pad_value", "pixel_pad_value"])
def test_padding_with_a_value(tmp_path: Path, name: str) -> None:
    done, bundle = compiled(name, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    golden = {path.name: np.load(path) for path in (bundle / "golden").glob("outputs_*.npy")}
    (exact,) = (values for file, values in golden.items() if file.endswith(".fp32.tflite.npy"))
    (int8,) = (values for file, values in golden.items() if file.endswith(".int8.tflite.npy"))
    assert np.sqrt(((exact - int8) ** 2).mean()) < 0.03 * np.ptp(exact)
    rows = {(row["runtime"], row["precision"]): row for row in report_of(bundle)["files"]}
    assert abs(rows["litert", "int8"]["quality"] - rows["litert", "fp32"]["quality"]) < 3


def test_pruning_counts_as_the_report_does(tmp_path: Path) -> None:
    done, bundle = compiled("shared_macs", tmp_path)
    if done.returncode == 2:
        assert "MACs" in done.stderr or "multiply-accumulates" in done.stderr
        return
    stages = {row["stage"]: row for row in report_of(bundle)["stages"]}
    assert stages["distill"]["macs"] == pytest.approx((9216 + 3 * 147456 + 160) / 1e6)
    assert stages["prune"]["macs"] <= 0.2 or "undone" in " ".join(report_of(bundle)["warnings"])


def test_pruning_what_the_library_does_not_know(tmp_path: Path) -> None:
    done, _ = compiled("gru_prune", tmp_path)
    assert done.returncode in (0, 2), done.stderr[-2000:]
    assert done.returncode == 0 or "torch-pruning" in done.stderr
