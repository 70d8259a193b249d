"""The command that searches: parse and print, decide nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgedistill.cache_commands import CacheFolder, Json
from edgedistill.console import print_json, print_line, print_report, print_table, say


def search(
    recipe: Annotated[
        Path | None, typer.Argument(help="A recipe (YAML); none: the embedded digits.")
    ] = None,
    target: Annotated[
        str, typer.Option("--target", "-t", help="A target's name or .yaml file.")
    ] = "android-arm64",
    budget: Annotated[
        str,
        typer.Option(
            help="How long to train trials: 90s, 30m, 1h30m; what earlier calls used counts. What "
            "all share (data, teacher, its answers) and the compile at the end come on top."
        ),
    ] = "30m",
    vary: Annotated[
        list[str],
        typer.Option(
            help="What to look for: student.depth=8,14,20 or "
            "stages.distill.learning_rate=0.02..0.3; repeatable. None: what suits the recipe."
        ),
    ] = [],  # noqa: B006
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder; else ./RECIPE-TARGET-search.")
    ] = None,
    compile_best: Annotated[
        bool, typer.Option("--compile/--no-compile", help="Compile the best in full at the end.")
    ] = True,
    settings: Annotated[
        list[str], typer.Option("--set", help="Override: stages.distill.epochs=3; repeatable.")
    ] = [],  # noqa: B006
    cache: CacheFolder = None,
    as_json: Json = False,
) -> int:
    """Try a recipe with other values, and compile what is best on validation."""
    from edgedistill import api
    from edgedistill.progress import reporting
    from edgedistill.report.study import headline

    with reporting() as reporter:
        found = api.search(
            recipe, target, budget, vary=vary, out=out, compile_best=compile_best, set=settings,
            cache=cache, reporter=reporter,
        )  # fmt: skip
    if as_json:
        from edgedistill.records import as_json as plain

        print_json(plain(found.record))
    else:
        front = {number: at for at, number in enumerate(found.record.front)}
        rows = [
            (run.trial, f"{run.share:.0%}", run.cost, run.quality)
            for run in sorted(found.record.runs, key=lambda run: front.get(run.number, 0))
            if run.number in front
        ]
        print_table(("trial on the front", "epochs", found.record.unit, "validation %"), rows)
        print_line(headline(found.record))
        if found.bundle is not None:
            print_report(found.bundle.report, str(found.bundle.path))
    say(f"the search: {found.path / 'search.html'}; what it found: {found.path / 'recipe.yaml'}")
    return 0 if found.bundle is None or found.bundle.ok else 1
