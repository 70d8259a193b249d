"""The command on packages: parse and print, decide nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgedistill.cache_commands import Json
from edgedistill.console import print_json, print_table, say, size_text


def package(
    bundle: Annotated[Path, typer.Argument(help="A bundle.")],
    platform: Annotated[
        str, typer.Option("--platform", "-p", help="python, c, web, android or ios.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The package's folder.")],
    runtime: Annotated[
        str | None, typer.Option(help="litert, onnxruntime or coreml (ios); else what it ships.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="fp32, fp16 or int8; else what the bundle ships.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write what an app takes in: model, code for one platform, golden data, a README."""
    from edgedistill import api
    from edgedistill.package.write import as_json as told

    made = api.package(bundle, platform, out, runtime, precision)
    if as_json:
        print_json(told(made))
        return
    rows = [
        (name, "not known" if size is None else size_text(size))
        for name, size in made.sizes.items()
    ]
    print_table(("adds to an app", ""), rows)
    say(f"runtime: {made.runtime_is}")
    say(f"wrote {out}: {made.runtime}, {made.precision}; next: {out / 'README.md'}")
