"""A CMake project: a library in C11 that opens LiteRT or ONNX Runtime at run time, the constants of
one model, its files, and programs that try it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.bundle.plain_rules import PLAIN, Placed, write_plain
from edgedistill.devices import native
from edgedistill.errors import UserError
from edgedistill.libraries import version
from edgedistill.package.c.constants import identifier, read_by_cmake, source
from edgedistill.package.platforms import RuntimeSize
from edgedistill.runtime_table import TABLE
from edgedistill.signature import Signature

if TYPE_CHECKING:
    from edgedistill.package.app import App
    from edgedistill.package.contents import Contents

_HERE = Path(__file__).parent
_DATA = "data"
_LIBRARIES = {"litert": "libLiteRt.so", "onnxruntime": "libonnxruntime.so"}
_PROGRAMS = {
    "picture": "classify IMAGE.ppm", "sound": "classify FILE.wav", "listening": "listen FILE.wav",
    "speech": "transcribe FILE.wav",
}  # fmt: skip
_PRINTED = {
    True: r'printf("%s %.3f\n", answer.label, answer.confidence)',
    False: r'for (size_t at = 0; at < answer.count; at++) printf("%.3f\n", answer.values[at])',
}
"""What an app does with an answer, where one label is chosen and where none is."""


def write(contents: Contents, folder: Path) -> None:
    """Put the project into `folder`. Raises UserError: an input or output that C does not feed or
    read."""
    app = contents.app
    contents.copy_into(folder / _DATA)
    if app.transcription is not None:
        _write_rules(app, folder / _DATA)
    name = f"{identifier(app.name)}_app"
    made = source(app)
    (folder / f"{name}.h").write_text(made.header, encoding="utf-8")
    (folder / f"{name}.c").write_text(made.constants, encoding="utf-8")
    (folder / "app.cmake").write_text(read_by_cmake(app), encoding="utf-8")
    for part in ("source", "programs"):
        shutil.copytree(_HERE / part, folder / part)
    shutil.copyfile(_HERE / "CMakeLists.txt", folder / "CMakeLists.txt")
    (folder / "README.md").write_text(_page(app, name), encoding="utf-8")


def runtime_size(contents: Contents) -> RuntimeSize:
    """Of the runtime's library for x86-64 that is installed here."""
    runtime = contents.app.runtime
    package = TABLE[runtime].runs_in
    try:
        library = native.libraries(runtime, "x86_64")[0]
    except UserError:
        return RuntimeSize(None, f"the shared library of {package}")
    return RuntimeSize(
        library.stat().st_size, f"`{library.name}` of {package} {version(package)} for x86-64"
    )


def _write_rules(app: App, folder: Path) -> None:
    """`recognizer.txt`, as in a bundle but of these files alone."""
    from edgedistill.transcribing.long import Settings
    from edgedistill.transcribing.vocabulary import Vocabulary

    told = app.transcription
    assert told is not None
    settings = Settings(
        language=told.language, rate=told.rate, window=told.window, rules=told.rules,
        guards=told.guards, vocabulary=Vocabulary.read(folder / told.vocabulary),
    )  # fmt: skip
    placed = {
        each.program: Placed(
            app.runtime, app.precision, each.file, each.bytes,
            Signature(each.inputs, each.outputs, each.state),
        )
        for each in app.files
    }  # fmt: skip
    pair = placed["encode"], placed["decode_step"]
    write_plain(folder / PLAIN, settings, [pair], (app.runtime, app.precision))


def _page(app: App, name: str) -> str:
    """The README, but for what the frame fills in."""
    calls: list[str] = [app.kind]
    calls += ["listening"] if app.listening is not None else []
    call = "\n".join(_read(f"calls/{each}.c") for each in calls)
    words = {
        "app": name,
        "cmake_name": identifier(app.name),
        "call": call.replace("APP", name)
        .replace("LIBRARY", _LIBRARIES[app.runtime])
        .replace("PRINTED", _PRINTED[app.activation == "softmax"]),
        "found": _read(f"found/{app.runtime}.md"),
        "tried": _read(f"found/{app.runtime}.sh"),
        "programs": ", ".join(f"`{_PROGRAMS[each]}`" for each in calls),
    }
    page = _read("README.md") + "\n"
    for word, text in words.items():
        page = page.replace("{{" + word + "}}", text)
    return page


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8").rstrip()
