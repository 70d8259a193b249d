"""The commands on the cache: parse and print, decide nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgedistill.console import parse_size, print_json, print_table, say, size_text

cache_app = typer.Typer(help="Show, prune or clear the cache.", rich_markup_mode=None)

CacheFolder = Annotated[
    Path | None, typer.Option("--cache", help="Cache folder; else $EDGEDISTILL_CACHE.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@cache_app.callback(invoke_without_command=True)
def _cache(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        show()


@cache_app.command()
def show(cache: CacheFolder = None, as_json: Json = False) -> None:
    """What is in the cache, the least recently used first."""
    from dataclasses import asdict
    from datetime import datetime

    from edgedistill.cache import Cache, default_root

    store = Cache(cache or default_root(), say)
    entries = store.entries() + store.unfinished() + store.answers() + store.prices()
    if as_json:
        print_json([asdict(entry) for entry in entries])
        return
    rows = [
        (e.kind, size_text(e.bytes), f"{datetime.fromtimestamp(e.used):%Y-%m-%d %H:%M}", e.key)
        for e in entries
    ]
    print_table(("stage", "size", "last used", "key"), rows)
    total = sum(entry.bytes for entry in entries)
    say(f"{len(entries)} entries, {size_text(total)} in {store.root}")


@cache_app.command()
def prune(
    keep: Annotated[str, typer.Option(help="How much to keep, e.g. 2GB or 500MB.")],
    cache: CacheFolder = None,
) -> None:
    """Remove the least recently used entries until at most KEEP is left."""
    _remove(cache, parse_size(keep))


@cache_app.command()
def clear(
    cache: CacheFolder = None,
    answers: Annotated[
        bool, typer.Option("--answers", help="Answers of endpoints too, which were paid for.")
    ] = False,
) -> None:
    """Remove everything, unfinished work included; answers that were paid for stay."""
    _remove(cache, 0, answers)


def _remove(cache: Path | None, keep: int, answers: bool = False) -> None:
    from edgedistill.cache import Cache, default_root

    store = Cache(cache or default_root(), say)
    removed = store.prune(keep) + (store.forget() if answers else [])
    say(f"removed {len(removed)} entries, {size_text(sum(entry.bytes for entry in removed))}")
