"""A package for the web, installed from its archive into a fresh Vite page and run in Chromium.

npm asks its registry for Vite and the runtime; the page itself reaches nothing but this machine.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgedistill.devices.browser.chromium import Chromium
from edgedistill.devices.browser.server import serving
from edgedistill.scratch import scratch_folder

PATIENCE = 600.0
_NPM = ("--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error")
_MAIN = """
import {{ open }} from {name};
globalThis.opened = open({options});
globalThis.failed = globalThis.opened.then(() => null, String);
"""


def page(package: Path, folder: Path, options: str = "") -> Path:
    """The files of a page that opens the package as `opened`, built in the empty `folder`.

    options: of `open`, JavaScript. Raises CalledProcessError: npm or Vite failed.
    """
    _run(package, "npm", "pack", *_NPM, "--pack-destination", str(folder.resolve()))
    (archive,) = folder.glob("*.tgz")
    name = json.loads((package / "package.json").read_text())["name"]
    vite = json.loads((package / "package.json").read_text())["devDependencies"]["vite"]
    (folder / "package.json").write_text('{"name": "page", "private": true, "type": "module"}')
    (folder / "index.html").write_text(
        '<!doctype html><body><script type="module" src="./main.js"></script>'
    )
    (folder / "main.js").write_text(_MAIN.format(name=json.dumps(name), options=options))
    _run(folder, "npm", "install", *_NPM, f"./{archive.name}", f"vite@{vite}")
    _run(folder, "npx", "vite", "build", "--base", "./", "--logLevel", "warn")
    return folder / "dist"


def demo(package: Path) -> Path:
    """The files of the package's own page. Raises CalledProcessError: npm or Vite failed."""
    _run(package, "npm", "install", *_NPM)
    _run(package, "npm", "run", "build-demo", "--", "--logLevel", "warn")
    return package / "demo" / "dist"


def _run(folder: Path, *order: str) -> None:
    subprocess.run(order, cwd=folder, check=True, capture_output=True, text=True, timeout=PATIENCE)


@contextmanager
def opened(built: Path) -> Iterator[Chromium]:
    """A browser with a built page open, cross-origin isolated."""
    files = {
        path.relative_to(built).as_posix(): path for path in built.rglob("*") if path.is_file()
    }
    with scratch_folder() as folder, serving(files, {}) as address, Chromium(folder) as browser:
        browser.open(f"{address}index.html")
        yield browser
