"""A package for Android, as far as it can be checked without a device: Kotlin compiled against
ONNX Runtime's real classes and Android's, the golden data on a JVM, an AAR and an app's client of
it, models uncompressed, pages of 16 KB, and a signature with a control that was tampered with.

    EDGEDISTILL_ANDROID=TOOLS python -m benchmarks.android_package BUNDLE...

`tests/package/android_tools.py` gathers TOOLS; aapt2, zipalign and apksigner are Debian's `aapt`,
`zipalign` and `apksigner`. Nothing is dexed: the APK holds assets, libraries and a manifest alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from benchmarks.common import write
from edgedistill.bundle import Bundle
from edgedistill.package import package
from edgedistill.package.android import ASSETS, LIBRARY, aar
from edgedistill.package.android.alignment import PAGE, data_offset, least_alignment

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "package"))
from android_jvm import HERE, PROJECT, Jvm, compiled

MODELS = (".tflite", ".onnx")


def main(bundles: list[Path]) -> None:
    tools = aar.tools("onnxruntime")
    if tools is None:
        raise SystemExit(f"{aar.TOOLS} names no folder; see this script's first lines")
    del os.environ[aar.TOOLS]  # packages are packed of classes that are compiled but once
    with tempfile.TemporaryDirectory() as made:
        scratch = Path(made)
        rows = [{"check": "ONNX Runtime's library, the sample and the tests compile", "ok": True}]
        jvm = compile_all(tools, scratch)
        rows.append(client(tools, jvm, scratch))
        for bundle in bundles:
            for precision in sorted({each["precision"] for each in Bundle.load(bundle).files}):
                if precision != "fp16":
                    rows += checked(bundle, precision, tools, jvm, scratch)
        libraries = least_alignment(tools.runtime)
        rows.append(
            row("ELF aligned for 16 KB", all(each.alignment >= PAGE for each in libraries),
                what=tools.runtime.name, values=len(libraries))
        )  # fmt: skip
    for each in rows:
        print(*each.values(), sep="; ")
    version = subprocess.run(
        [tools.compiler, "-version"], capture_output=True, text=True, check=True
    ).stderr.split("kotlinc-jvm ")[1].split()[0]  # fmt: skip
    write("android_package", rows, seeds=[], kotlin=version, android_api=23)


def row(check: str, ok: bool, **told: Any) -> dict[str, Any]:
    return {"check": check, "ok": ok, **told}


def compile_all(tools: aar.Tools, scratch: Path) -> Jvm:
    """Raises where the compiler does."""
    library = PROJECT / "library/src"
    stubs = compiled(tools, scratch, "stubs", HERE / "stubs", uses=[])
    litert = compiled(
        tools, scratch, "litert", library / "main/kotlin", library / "litert/kotlin", uses=[stubs]
    )
    sources = PROJECT / "sample/src/main/kotlin", library / "androidTest/kotlin"
    compiled(tools, scratch, "sample", *sources, uses=[stubs, litert])
    return Jvm(tools, scratch)


def client(tools: aar.Tools, jvm: Jvm, scratch: Path) -> dict[str, Any]:
    """An app's own code, against the classes that an AAR holds."""
    folder = scratch / "client"
    folder.mkdir()
    (folder / "Client.kt").write_text((HERE / "Client.kt.txt").read_text())
    compiled(tools, scratch, "client", folder, uses=[jvm.classes])
    return row("an app's client compiles against the AAR's classes", True)


def checked(
    bundle: Path, precision: str, tools: aar.Tools, jvm: Jvm, scratch: Path
) -> list[dict[str, Any]]:
    """What is checked of one package."""
    folder = scratch / f"{bundle.name}-{precision}"
    package(bundle, "android", folder, "onnxruntime", precision)
    (assets,) = (folder / ASSETS).iterdir()
    archive = folder / "package.aar"
    aar.pack(folder / LIBRARY, jvm.classes, archive)
    what = f"{bundle.name}, {precision}"
    empty: dict[str, Any] = {"samples": [], "streams": [], "sounds": []}
    (found,) = jvm.run({"models": [{"folder": assets, **empty}]})["models"]
    rows = [
        row(f"golden data on a JVM: {part}", told["within"] == told["values"], what=what,
            values=told["values"], worst=told["worst"])
        for part, told in found.items() if part in ("main", "step", "speech")
    ]  # fmt: skip
    rows.append(
        row("models uncompressed in the AAR", stored(archive, MODELS), what=what,
            bytes=archive.stat().st_size)
    )  # fmt: skip
    apk = app(folder, tools, scratch / f"{folder.name}.apk")
    rows += [
        row("models uncompressed in an APK", stored(apk, MODELS), what=what),
        row("libraries in an APK at multiples of 16 KB", at_pages(apk), what=what),
        row("libraries misaligned without (control)", not at_pages(_unaligned(apk)), what=what),
        *signatures(apk, what),
    ]
    return rows


def stored(archive: Path, suffixes: tuple[str, ...]) -> bool:
    """Read from the archive itself: at least one such entry, and none compressed."""
    with zipfile.ZipFile(archive) as file:
        found = [each for each in file.infolist() if each.filename.endswith(suffixes)]
    return bool(found) and all(each.compress_type == zipfile.ZIP_STORED for each in found)


def at_pages(apk: Path) -> bool:
    with zipfile.ZipFile(apk) as file:
        found = [each for each in file.infolist() if each.filename.endswith(".so")]
    return bool(found) and all(data_offset(apk, each) % PAGE == 0 for each in found)


def _unaligned(apk: Path) -> Path:
    return apk.with_suffix(".unaligned")


def app(project: Path, tools: aar.Tools, out: Path) -> Path:
    """An APK of the sample without code: its manifest, the library's assets, and the runtime's
    libraries of one processor, aligned."""
    unaligned, manifest = _unaligned(out), out.with_suffix(".xml")
    told = (project / "sample/src/main/AndroidManifest.xml").read_text()
    manifest.write_text(told.replace("<manifest ", '<manifest package="edgedistill.sample" ', 1))
    run(
        "aapt2", "link", "-o", unaligned, "--manifest", manifest, "-I", tools.android,
        "--min-sdk-version", aar.MIN_SDK, "--target-sdk-version", 36,
        "-A", project / LIBRARY / "src/main/assets", "--no-compress-regex", r"\.(tflite|onnx)$",
    )  # fmt: skip
    with zipfile.ZipFile(tools.runtime) as runtime, zipfile.ZipFile(unaligned, "a") as file:
        for name in runtime.namelist():
            if name.startswith("jni/arm64-v8a/") and name.endswith(".so"):
                file.writestr(name.replace("jni/", "lib/", 1), runtime.read(name))
    run("zipalign", "-f", PAGE, unaligned, out)
    return out


def signatures(apk: Path, what: str) -> list[dict[str, Any]]:
    """Signed with a key of its own, verified; the same with one bit of the model changed."""
    key, signed = apk.with_suffix(".keys"), apk.with_suffix(".signed.apk")
    run(
        "keytool", "-genkeypair", "-keystore", key, "-storepass", "password", "-alias", "key",
        "-keyalg", "RSA", "-keysize", 2048, "-dname", "CN=check",
    )  # fmt: skip
    run("apksigner", "sign", "--ks", key, "--ks-pass", "pass:password", "--out", signed, apk)
    content = bytearray(signed.read_bytes())
    with zipfile.ZipFile(signed) as file:
        model = next(each for each in file.infolist() if each.filename.endswith(MODELS))
    content[data_offset(signed, model) + model.file_size // 2] ^= 1
    tampered = apk.with_suffix(".tampered.apk")
    tampered.write_bytes(content)
    return [
        row("signature verified", verified(signed), what=what),
        row("still at multiples of 16 KB when signed", at_pages(signed), what=what),
        row("a changed bit of the model is found (control)", not verified(tampered), what=what),
    ]


def verified(apk: Path) -> bool:
    done = subprocess.run(["apksigner", "verify", str(apk)], capture_output=True, check=False)
    return done.returncode == 0


def run(*command: object) -> None:
    subprocess.run([*map(str, command)], check=True, capture_output=True)


if __name__ == "__main__":
    main([Path(each) for each in sys.argv[1:]])
