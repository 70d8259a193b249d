"""A package's Kotlin, compiled with Kotlin's own compiler and run on a JVM, which takes what
`android_tools.py` gathers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from android_tools import environment

from edgedistill.package.android import aar

HERE = Path(__file__).parent / "android_jvm"
PROJECT = Path(aar.__file__).parent / "project"

needs_tools = pytest.mark.skipif(
    aar.TOOLS not in os.environ or shutil.which("java") is None,
    reason=f"no {aar.TOOLS}; tests/package/android_tools.py gathers what it names",
)


def compiled(tools: aar.Tools, folder: Path, name: str, *sources: Path, uses: list[Path]) -> Path:
    """A jar of Kotlin sources, for Android; uses: jars beside Android's and the coroutines'."""
    out = folder / f"{name}.jar"
    aar.compile_kotlin(list(sources), [tools.android, tools.coroutines, *uses], tools, out)
    return out


class Jvm:
    """The library with ONNX Runtime, and `Check.kt`."""

    def __init__(self, tools: aar.Tools, folder: Path) -> None:
        self._folder, self._tools = folder, tools
        library = PROJECT / "library/src"
        runtime = aar.classes_of(tools.runtime, folder)
        self.classes = compiled(
            tools, folder, "classes", library / "main/kotlin", library / "onnxruntime/kotlin",
            uses=[runtime],
        )  # fmt: skip
        check = folder / "check.jar"
        path = [self.classes, tools.coroutines, runtime]
        command = [
            tools.compiler, "-jvm-target", "11", f"-Xfriend-paths={self.classes}",
            "-cp", os.pathsep.join(map(str, path)), "-d", check, HERE / "Check.kt",
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)
        self._path = [check, *path, tools.kotlinc / "lib/kotlin-stdlib.jar"]

    def run(self, order: dict[str, Any]) -> dict[str, Any]:
        """What `Check.kt` answers to an order; arrays in it go through files."""
        told = self._folder / "order.json"
        told.write_text(json.dumps(order, default=self._written))
        native = self._tools.runtime.parent / "jvm"
        command = [
            "java", f"-Donnxruntime.native.path={native}", "-cp",
            os.pathsep.join(map(str, self._path)), "edgedistill.check.CheckKt", told,
        ]  # fmt: skip
        done = subprocess.run(
            command, env=environment(native.parent), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _written(self, value: Any) -> str:
        if isinstance(value, Path):
            return str(value)
        path = self._folder / f"array{len(list(self._folder.iterdir()))}.raw"
        path.write_bytes(np.ascontiguousarray(value).tobytes())
        return str(path)


def argb(pixels: Any) -> dict[str, Any]:
    """Pixels (height, width) or (height, width, 3 or 4), uint8, as a picture of an order."""
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    if pixels.shape[2] == 3:
        pixels = np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], axis=2)
    red, green, blue, alpha = np.moveaxis(pixels.astype(np.uint32), 2, 0)
    packed = (alpha << 24 | red << 16 | green << 8 | blue).astype("<u4")
    return {"file": packed, "width": pixels.shape[1], "height": pixels.shape[0]}
