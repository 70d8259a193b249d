"""A Swift package for iOS: with ONNX Runtime's Swift package, with Core ML, or as pods with
LiteRT's."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from edgedistill.package.platforms import RuntimeSize

if TYPE_CHECKING:
    from edgedistill.package.contents import Contents

HERE = Path(__file__).parent
_DATA = "data"
_CALLS = {
    "picture": "let answer = try await model.classify(Pixels(image))  // a CGImage",
    "sound": "let answer = try await model.classify(samples: samples)  // or listen(chunk)",
    "speech": "let transcript = try await model.transcribe(samples)",
}
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
    readme = (HERE / "README.md").read_text(encoding="utf-8")
    readme = readme.replace("{{adding}}", _ADDING[app.runtime])
    readme = readme.replace("{{system}}", "17" if app.runtime == "coreml" else "15")
    (folder / "README.md").write_text(readme.replace("{{call}}", _CALLS[app.kind]), "utf-8")
    for path in (*folder.rglob("*.swift"), *folder.glob("*.podspec"), folder / "README.md"):
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("{{module}}", name), encoding="utf-8")


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
