"""A Swift package for iOS: with ONNX Runtime's Swift package, with Core ML, or as pods with
LiteRT's."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.package.platforms import RuntimeSize

if TYPE_CHECKING:
    from edgedistill.package.app import App
    from edgedistill.package.contents import Contents

HERE = Path(__file__).parent
_DATA = "data"
_ADDING = {
    "onnxruntime": (
        "In Xcode: File, Add Package Dependencies, Add Local, and choose this folder. It takes\n"
        "ONNX Runtime's own Swift package along."
    ),
    "coreml": (
        "In Xcode: File, Add Package Dependencies, Add Local, and choose this folder. Nothing\n"
        "else is needed: Core ML is part of iOS. The model is compiled on the device when it is\n"
        "first opened, and kept in the app's caches."
    ),
    "litert": (
        "In the Podfile, as LiteRT for Swift comes as a pod:\n\n"
        "```ruby\nuse_frameworks!\n"
        "pod 'EdgeLogic', :path => 'path/to/this/folder'\n"
        "pod '{{module}}', :path => 'path/to/this/folder'\n```"
    ),
}


def write(contents: Contents, folder: Path) -> None:
    """Put the Swift package, or the pods, into `folder`."""
    app, name = contents.app, swift_name(contents.app.name)
    shutil.copytree(HERE / "glue", folder, dirs_exist_ok=True)
    sources = (folder / "Sources" / "Model").rename(folder / "Sources" / name)
    tests = (folder / "Tests" / "ModelTests").rename(folder / "Tests" / f"{name}Tests")
    tests.joinpath("ModelTests.swift").rename(tests / f"{name}Tests.swift")
    shutil.copyfile(HERE / "runtimes" / f"{app.runtime}.swift", sources / "Runtime.swift")
    if app.runtime == "coreml":
        shutil.copyfile(HERE / "runtimes" / "coreml_package.swift", folder / "Package.swift")
    if app.runtime == "litert":
        (folder / "Package.swift").unlink()
        shutil.copyfile(HERE / "runtimes" / "EdgeLogic.podspec", folder / "EdgeLogic.podspec")
        shutil.copyfile(HERE / "runtimes" / "Model.podspec", folder / f"{name}.podspec")
    contents.copy_into(sources / _DATA)
    for told in ("LICENSE", "PROVENANCE.md"):
        shutil.copyfile(sources / _DATA / told, folder / told)
    (folder / "README.md").write_text(_page(app), encoding="utf-8")
    for path in (*folder.rglob("*.swift"), *folder.glob("*.podspec"), folder / "README.md"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("{{module}}", name), encoding="utf-8")


def _page(app: App) -> str:
    """The README, but for the module's name and what the frame fills in."""
    calls = [app.kind, *(["listening"] if app.listening is not None else [])]
    chosen = 'answer.label ?? "", answer.confidence ?? 0, answer.route'
    words = {
        "call": "\n".join(_read(f"calls/{each}.swift").rstrip() for each in calls),
        "printed": chosen if app.activation == "softmax" else "answer.probabilities",
        "adding": _ADDING[app.runtime],
        "system": "17" if app.runtime == "coreml" else "15",
        "takes": _takes(app.runtime),
    }
    page = _read("README.md")
    for word, text in words.items():
        page = page.replace("{{" + word + "}}", text)
    return page


def _takes(runtime: str) -> str:
    """The runtime and its version, as the package's or the pod's own file asks for it."""
    if runtime == "coreml":
        return "nothing else"
    if runtime == "litert":
        found = re.search(r"'TensorFlowLiteSwift', '~> ([\d.]+)'", _read("runtimes/Model.podspec"))
        assert found, "the pod's file names its runtime"
        return f"the pod TensorFlowLiteSwift {found[1]} or a later one of the same major version"
    found = re.search(
        r'onnxruntime-swift-package-manager", from: "([\d.]+)"', _read("glue/Package.swift")
    )
    assert found, "the package's file names its runtime"
    return f"ONNX Runtime's Swift package, {found[1]} or a later one of the same major version"


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def swift_name(name: str) -> str:
    """A bundle's name as a Swift module has it: `wake-words` is `WakeWords`."""
    found = "".join(each[:1].upper() + each[1:] for each in re.split(r"[^A-Za-z0-9]+", name))
    if not found or found[0].isdigit():
        found = f"Model{found}"
    return f"{found}Model" if found in _TAKEN else found


_TAKEN = {
    "CoreML",
    "Foundation",
    "Swift",
    "XCTest",
    "EdgeLogic",
    "Model",
    "Runtime",
    "TensorFlowLite",
}


def runtime_size(contents: Contents) -> RuntimeSize:
    """Not known here but for Core ML: Xcode fetches a runtime, and links what an app uses of it."""
    if contents.app.runtime == "coreml":
        return RuntimeSize(0, "Core ML, which is part of iOS")
    what = {"onnxruntime": "ONNX Runtime's Swift package", "litert": "the pod TensorFlowLiteSwift"}
    return RuntimeSize(None, f"{what[contents.app.runtime]}; Xcode's size report tells")
