"""Gathers what compiling and checking a package for Android takes, into the folder that
`EDGEDISTILL_ANDROID` names for the tests and the benchmark:

    python tests/package/android_tools.py FOLDER

It needs npm, apt, a C compiler and some 500 MB. Kotlin's compiler and ONNX Runtime's Android
archive come as npm packages, Android's classes (API 23) from Debian sid; nothing is installed. What
the benchmark calls beside, `aapt2`, `zipalign` and `apksigner`, is in Debian's packages `aapt`,
`zipalign` and `apksigner`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

KOTLIN = "kotlin-compiler@2.4.20"
ONNX_RUNTIME = "com.github.asus4.onnxruntime@0.4.9"
ANDROID = "libandroid-23-java"
HERE = Path(__file__).parent


def gather(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        scratch = Path(made)
        if not (folder / "kotlinc").is_dir():
            npm(KOTLIN, scratch)
            for each in (scratch / "package/bin").iterdir():
                each.chmod(0o755)
            shutil.move(scratch / "package", folder / "kotlinc")
        if not (folder / "onnxruntime.aar").is_file():
            npm(ONNX_RUNTIME, scratch)
            plugins = scratch / "package/Plugins"
            (folder / "jvm").mkdir(exist_ok=True)
            shutil.copy(plugins / "Linux/x64/libonnxruntime.so", folder / "jvm")
            shutil.copy(plugins / "Android/onnxruntime.aar", folder)
        if not (folder / "android.jar").is_file():
            android(scratch / "apt", folder / "android.jar")
    jvm(folder)


def npm(package: str, scratch: Path) -> None:
    subprocess.run(["npm", "pack", "--silent", package], cwd=scratch, check=True)
    (archive,) = scratch.glob("*.tgz")
    with tarfile.open(archive) as file:
        file.extractall(scratch, filter="data")
    archive.unlink()


def android(scratch: Path, out: Path) -> None:
    """From Debian sid, by an apt that knows nothing else and whose mirror is this machine's."""
    for each in ("state/lists/partial", "cache/archives/partial"):
        (scratch / each).mkdir(parents=True)
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    mirror = next(each for each in told if each.rstrip("/").endswith("/debian"))
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    (scratch / "sources.list").write_text(f"deb [signed-by={keys}] {mirror} sid main\n")
    settings = {
        "Dir::Etc::sourcelist": scratch / "sources.list", "Dir::Etc::sourceparts": "-",
        "Dir::State": scratch / "state", "Dir::Cache": scratch / "cache",
        "Dir::State::status": "/var/lib/dpkg/status", "APT::Sandbox::User": "root",
    }  # fmt: skip
    apt = ["apt-get", "-q", *(f"-o{key}={value}" for key, value in settings.items())]
    subprocess.run([*apt, "update"], check=True)
    subprocess.run([*apt, "download", ANDROID], cwd=scratch, check=True)
    (package,) = scratch.glob("*.deb")
    subprocess.run(["dpkg", "-x", package, scratch / "unpacked"], check=True)
    shutil.copy(scratch / "unpacked/usr/lib/android-sdk/platforms/android-23/android.jar", out)


def jvm(folder: Path) -> None:
    """What a JVM on Linux needs to run the Android archive's own Java classes: its x86-64 library,
    and stand-ins for Android's libc beside it."""
    place = folder / "jvm"
    with zipfile.ZipFile(folder / "onnxruntime.aar") as file:
        name = "libonnxruntime4j_jni.so"
        (place / name).write_bytes(file.read(f"jni/x86_64/{name}"))
    versions = place / "versions"
    versions.write_text("LIBC { global: *; }; VERS_1.29.0 { global: OrtSessionOptions*; };\n")
    for name in ("libc.so", "libm.so", "libdl.so"):
        command = ["cc", "-shared", "-fPIC", "-O1", f"-Wl,--version-script={versions}",
                   f"-Wl,-soname,{name}", "-o", str(place / name)]  # fmt: skip
        source = "android_libc.c" if name == "libc.so" else "android_empty.c"
        subprocess.run([*command, str(HERE / "android_jvm" / source)], check=True)


def environment(folder: Path) -> dict[str, str]:
    """In which `java -Donnxruntime.native.path=FOLDER/jvm` finds them."""
    return {**os.environ, "LD_LIBRARY_PATH": str(folder / "jvm")}


if __name__ == "__main__":
    gather(Path(sys.argv[1]).resolve())
