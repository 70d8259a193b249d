"""A Gradle library module in Kotlin, with a sample app; where the tools are given, an AAR too."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.package.android import aar
from edgedistill.package.android.alignment import PAGE, least_alignment
from edgedistill.package.platforms import RuntimeSize

if TYPE_CHECKING:
    from edgedistill.package.contents import Contents

_PROJECT = Path(__file__).parent / "project"
LIBRARY = Path("library")
ASSETS = LIBRARY / "src/main/assets/edgedistill"
_RUNTIMES = {
    "litert": "com.google.ai.edge.litert:litert",
    "onnxruntime": "com.microsoft.onnxruntime:onnxruntime-android",
}


def write(contents: Contents, folder: Path) -> None:
    """Put the Gradle project into `folder`, and beside it `NAME.aar` where `aar.TOOLS` names a
    folder with what that takes.

    Raises UserError: a tool is missing there, or fails; a library of the runtime is not aligned.
    """
    runtime, name = contents.app.runtime, asset_name(contents.app.name)
    others = [each for each in _RUNTIMES if each != runtime]
    shutil.copytree(
        _PROJECT, folder, dirs_exist_ok=True,
        ignore=lambda place, names: others if Path(place).name == "src" else [],
    )  # fmt: skip
    contents.copy_into(folder / ASSETS / name)
    properties = folder / "gradle.properties"
    properties.write_text(properties.read_text().replace("{{runtime}}", runtime))
    tools = aar.tools(runtime)
    if tools is not None:
        aar.build(folder / LIBRARY, runtime, tools, folder / f"{name}.aar")
    readme = folder / "README.md"
    told = readme.read_text(encoding="utf-8")
    words = {
        "aar": _aar_words(name, tools is not None),
        "archive": name,
        "opens": "transcriber" if contents.app.kind == "speech" else "classifier",
        "coordinates": _asked(LIBRARY / "build.gradle.kts", rf'"({_RUNTIMES[runtime]}:[^"]+)"'),
        "coroutines": _asked(LIBRARY / "build.gradle.kts", r'coroutines-android:([^"]+)"'),
        "plugin": _asked(Path("build.gradle.kts"), r'"com.android.library"\) version "([^"]+)"'),
        "kotlin": _asked(Path("build.gradle.kts"), r'kotlin.android"\) version "([^"]+)"'),
    }
    for key, value in words.items():
        told = told.replace("{{" + key + "}}", value)
    readme.write_text(told, encoding="utf-8")


def runtime_size(contents: Contents) -> RuntimeSize:
    """Of the runtime's own AAR where one is given: its libraries of one processor."""
    runtime = contents.app.runtime
    tools = aar.tools(runtime)
    if tools is None:
        return RuntimeSize(None, f"{_RUNTIMES[runtime]}, which Gradle fetches")
    size = sum(each.size for each in least_alignment(tools.runtime) if "arm64-v8a" in each.name)
    return RuntimeSize(size, f"{_RUNTIMES[runtime]} on arm64-v8a, before a store packs it")


def asset_name(name: str) -> str:
    """A bundle's name as that of a folder among an app's assets."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip(".") or "model"


def _asked(build: Path, pattern: str) -> str:
    """What a build file of the project says, so that the README says the same."""
    found = re.search(pattern, (_PROJECT / build).read_text(encoding="utf-8"))
    assert found, f"{build} names it"
    return found[1]


def _aar_words(name: str, there: bool) -> str:
    if there:
        return f"`{name}.aar` is the library, built."
    return (
        f"There is no `{name}.aar` here, as that takes a Kotlin compiler: `gradle "
        ":library:assembleRelease` builds one in `library/build/outputs/aar`, and so does the "
        f"package command where `{aar.TOOLS}` names a folder with `kotlinc`, `android.jar` and "
        "the runtime's AAR."
    )


__all__ = ["ASSETS", "LIBRARY", "PAGE", "asset_name", "runtime_size", "write"]
