"""An AAR without Gradle: the library's Kotlin compiled, packed with its assets and rules."""

from __future__ import annotations

import os
import subprocess
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgedistill.errors import UserError
from edgedistill.package.android.alignment import check_aligned

TOOLS: Final = "EDGEDISTILL_ANDROID"
"""Names a folder with `kotlinc`, `android.jar` and the runtime's AAR."""
MIN_SDK: Final = 26
_STORED = (".tflite", ".onnx")
_SINCE_ZIP = (1980, 1, 1, 0, 0, 0)
_MANIFEST = f"""<?xml version="1.0" encoding="utf-8"?>
<manifest xmlns:android="http://schemas.android.com/apk/res/android" package="edgedistill">
    <uses-sdk android:minSdkVersion="{MIN_SDK}" />
</manifest>
"""
_METADATA = "aarFormatVersion=1.0\naarMetadataVersion=1.0\n"


@dataclass(frozen=True)
class Tools:
    """What building takes."""

    kotlinc: Path
    """The compiler's folder, with `bin/kotlinc` and `lib`."""
    android: Path
    """`android.jar`."""
    runtime: Path
    """The runtime's own AAR."""

    @property
    def compiler(self) -> Path:
        """The command."""
        return self.kotlinc / "bin" / "kotlinc"

    @property
    def coroutines(self) -> Path:
        """Which the compiler brings."""
        return self.kotlinc / "lib" / "kotlinx-coroutines-core-jvm.jar"


def tools(runtime: str) -> Tools | None:
    """Those in the folder that the environment names; None where it names none.

    Raises UserError: something is missing there.
    """
    told = os.environ.get(TOOLS)
    if not told:
        return None
    folder = Path(told)
    found = Tools(folder / "kotlinc", folder / "android.jar", folder / f"{runtime}.aar")
    for each in (found.compiler, found.coroutines, found.android, found.runtime):
        if not each.is_file():
            raise UserError(
                f"{TOOLS}: {each} is missing",
                "put it there, or unset the variable and build the AAR with Gradle",
            )
    return found


def build(library: Path, runtime: str, tools: Tools, out: Path) -> None:
    """Compile the module `library` and pack it as `out`.

    Raises UserError: the compiler fails, or a library of the runtime is not aligned.
    """
    check_aligned(tools.runtime)
    with tempfile.TemporaryDirectory() as scratch:
        classes = Path(scratch) / "classes.jar"
        compile_kotlin(
            [library / "src/main/kotlin", library / f"src/{runtime}/kotlin"],
            [tools.android, tools.coroutines, classes_of(tools.runtime, Path(scratch))],
            tools, classes,
        )  # fmt: skip
        pack(library, classes, out)


def compile_kotlin(sources: list[Path], classpath: list[Path], tools: Tools, out: Path) -> None:
    """Kotlin sources into a jar, against Android's classes and not Java's. Raises UserError."""
    command = [
        str(tools.compiler), "-no-jdk", "-jvm-target", "1.8", "-module-name", "edgedistill",
        "-cp", os.pathsep.join(map(str, classpath)), "-d", str(out), *map(str, sources),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise UserError(
            f"the Kotlin compiler fails: {done.stderr.strip()[-2000:]}",
            f"see that what {TOOLS} names fits together",
        )


def classes_of(archive: Path, scratch: Path) -> Path:
    """The classes of an AAR."""
    with zipfile.ZipFile(archive) as file:
        place = scratch / f"{archive.stem}.jar"
        place.write_bytes(file.read("classes.jar"))
    return place


def pack(library: Path, classes: Path, out: Path) -> None:
    """Put a module and its classes into an AAR, models stored; the same bytes for the same
    content."""
    assets = library / "src/main/assets"
    entries: dict[str, bytes] = {
        "AndroidManifest.xml": _MANIFEST.encode(),
        "META-INF/com/android/build/gradle/aar-metadata.properties": _METADATA.encode(),
        "R.txt": b"",
        "classes.jar": classes.read_bytes(),
        "proguard.txt": (library / "consumer-rules.pro").read_bytes(),
    }
    for path in sorted(assets.rglob("*")):
        if path.is_file():
            entries[f"assets/{path.relative_to(assets).as_posix()}"] = path.read_bytes()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name, _SINCE_ZIP)
            entry.external_attr = 0o644 << 16
            stored = name.endswith(_STORED)
            entry.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            file.writestr(entry, content)
