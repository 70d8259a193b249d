"""An npm package of a bundle's files: ES modules with types, on ONNX Runtime Web or LiteRT.js.

`src` holds its code as it is shipped, in JavaScript that needs no build; `demo` a page to try it.
What knows neither a runtime nor a browser there runs in Node.js as well, which is how it is tested.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgedistill.devices.browser.packages import PACKAGES
from edgedistill.errors import UserError
from edgedistill.package.app import APP
from edgedistill.package.contents import LICENCE, PROVENANCE
from edgedistill.package.platforms import PLATFORMS, RuntimeSize

if TYPE_CHECKING:
    from edgedistill.package.app import App
    from edgedistill.package.contents import Contents

_HERE = Path(__file__).parent
_DATA = "data"
_VITE = "^8.3.0"
"""Of the page to try the package with; an app may have any bundler, or none."""
_RUNTIMES = {"onnxruntime": "onnxruntime-web", "litert": "@litertjs/core"}
"""npm packages."""
_DOWNLOADED = {
    "onnxruntime": ("dist/ort.wasm.min.mjs", "dist/ort-wasm-simd-threaded.mjs",
                    "dist/ort-wasm-simd-threaded.wasm"),
    "litert": ("dist/index.js", "wasm/litert_wasm_internal.js", "wasm/litert_wasm_internal.wasm"),
}  # fmt: skip
"""What a browser loads of them."""


def write(contents: Contents, folder: Path) -> None:
    """Put the package, ready for `npm pack`, into `folder`.

    Raises UserError: LiteRT.js has no tensors of the file's types, or a file of several programs.
    """
    app = contents.app
    _check(app)
    contents.copy_into(folder / _DATA)
    for name in ("demo", "src"):
        shutil.copytree(_HERE / name, folder / name)
    src = folder / "src"
    (src / f"runtime_{app.runtime}.js").rename(src / "runtime.js")
    for other in src.glob("runtime_*.js"):
        other.unlink()
    loaded = [name for name in contents.sources if name not in (LICENCE, PROVENANCE)]
    (src / "files.js").write_text(_table([APP, *loaded]), encoding="utf-8")
    told = json.dumps(_package(app), indent=2)  # an order that has a meaning under `exports`
    (folder / "package.json").write_text(f"{told}\n", encoding="utf-8")
    shutil.move(folder / _DATA / LICENCE, folder / LICENCE)
    (folder / "README.md").write_text(_page(app), encoding="utf-8")


def runtime_size(contents: Contents) -> RuntimeSize:
    """What a browser loads of the runtime, before a server compresses it: of the web packages that
    `edgedistill device setup browser` fetched."""
    from edgedistill.devices.browser.packages import place

    runtime = contents.app.runtime
    told = _pinned(runtime)
    files = [place(told) / name for name in _DOWNLOADED[runtime]]
    known = all(file.is_file() for file in files)
    size = sum(file.stat().st_size for file in files) if known else None
    return RuntimeSize(size, f"{told.name} {told.version}, its WebAssembly uncompressed")


def package_name(name: str) -> str:
    """Of a bundle's name what npm takes as one: `Wake words` becomes `wake-words`."""
    return re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")[:200] or "model"


def package_version(created: str) -> str:
    """The time at which a bundle was compiled as npm takes a version, so that a later one takes an
    earlier one's place."""
    made = datetime.fromisoformat(created)
    return f"{made.year}.{made.month * 100 + made.day}.{int(f'{made:%H%M%S}')}"


def _check(app: App) -> None:
    ends = [spec for each in app.files for spec in (*each.inputs, *each.outputs)]
    types = PLATFORMS["web"].takes.get(app.runtime)
    other = next((spec for spec in ends if types and spec.dtype not in types), None)
    if types and other is not None:
        *most, last = types
        raise UserError(
            f"LiteRT.js takes {', '.join(most)} and {last}, and `{other.name}` of "
            f"{app.files[0].file} is {other.dtype}",
            "add `--runtime onnxruntime` or `--precision fp32`, or compile for `web-wasm`, whose "
            "int8 files take and give floats",
        )

    alone = PLATFORMS["web"].one_program
    if app.runtime in alone and len({each.file for each in app.files}) < len(app.files):
        raise UserError(
            f"LiteRT.js {_pinned(app.runtime).version} gives wrong values for the second program "
            f"of a file, and {app.files[0].file} holds "
            f"{' and '.join(f'`{each.program}`' for each in app.files)}",
            "add `--runtime onnxruntime`, whose files hold one program each; a bundle without such "
            "files is compiled again for a target with that runtime",
        )


def _pinned(runtime: str) -> Any:
    return next(each for each in PACKAGES if each.name == _RUNTIMES[runtime])


def _package(app: App) -> dict[str, Any]:
    """`package.json`."""
    runtime = _pinned(app.runtime)
    return {
        "name": package_name(app.name),
        "version": package_version(app.origin.created),
        "description": f"{app.name}: {app.task} on the device, compiled by edgedistill",
        "type": "module",
        "license": "SEE LICENSE IN LICENSE",
        "exports": {
            ".": {"types": "./src/index.d.ts", "default": "./src/index.js"},
            "./app.json": f"./{_DATA}/{APP}",
        },
        "types": "./src/index.d.ts",
        "files": ["src", _DATA],
        "sideEffects": False,
        "dependencies": {runtime.name: runtime.version},
        "devDependencies": {"vite": _VITE},
        "scripts": {"demo": "vite demo", "build-demo": "vite build demo"},
    }


def _table(names: Iterable[str]) -> str:
    """`files.js`: where the package's data is, in the one form that bundlers follow."""
    rows = [f'  "{name}": new URL("../{_DATA}/{name}", import.meta.url).href,' for name in names]
    return "\n".join(["export const files = {", *rows, "};", ""])


def _how(app: App) -> str:
    if app.kind == "speech" or app.listening is not None:
        return "transcribe" if app.kind == "speech" else "listen"
    return "classify" if app.activation == "softmax" else "values"


def _page(app: App) -> str:
    """The README, but for what the frame fills in."""
    told, rates = _pinned(app.runtime), (app.sound, app.listening, app.transcription)
    words = {
        "call": _CALLS[_how(app)],
        "package": package_name(app.name),
        "version": package_version(app.origin.created),
        "pinned": f"{told.name} {told.version}",
        "rate": str(next((each.rate for each in rates if each is not None), "")),
    }
    page = (_HERE / "README.md").read_text(encoding="utf-8")
    for word, value in words.items():
        page = page.replace("{{" + word + "}}", value)
    return page


_CALLS = {
    "classify": "const { label, confidence, route } = await model.classify(source);",
    "values": "const { values, labels } = await model.values(source);",
    "listen": "for (const { keyword } of await model.listen(source)) console.log(keyword);",
    "transcribe": "const { text } = await model.transcribe(source);",
}
