"""The commands on a bundle: parse and print, decide nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgedistill.cache_commands import Json
from edgedistill.console import (
    print_json,
    print_line,
    print_rows,
    print_table,
    say,
)

Threads = Annotated[int, typer.Option(min=1, help="Threads of the runtime.")]


Runs = Annotated[int, typer.Option(min=10, help="Runs of each model.")]


def evaluate(
    bundle: Annotated[Path, typer.Argument(help="A bundle.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="A folder of class folders, a .parquet, .npz or .jsonl file, or a recipe's test "
            "set."
        ),
    ] = None,
    runtime: Annotated[str | None, typer.Option(help="Only this runtime's files.")] = None,
    precision: Annotated[str | None, typer.Option(help="Only files of this precision.")] = None,
    device: Annotated[
        str | None,
        typer.Option("--device", "-d", help="Where the files run, as `benchmark` takes it."),
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=1, help="Only so many of the images, taken evenly.")
    ] = None,
    as_json: Json = False,
) -> None:
    """How good a bundle's files are on a test set, on this machine or on a device."""
    from edgedistill import api
    from edgedistill.progress import Lines

    rows = api.evaluate(bundle, data, runtime, precision, device, images, Lines())
    for note in rows[0].get("notes", []):
        say(note)
    columns = [column for column in rows[0] if column not in ("file", "notes")]
    print_rows(rows, ["file", *columns], as_json)


def audit(
    bundle: Annotated[Path, typer.Argument(help="A bundle.")],
    data: Annotated[
        Path | None, typer.Option(help="Other labelled samples, as `evaluate` takes them.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What a bundle's student does beyond its accuracy, class by class and beside its teacher."""
    from edgedistill import api
    from edgedistill.report.audit import tables

    found = api.audit(bundle, data)
    for note in found.get("notes", []):
        say(note)
    if as_json:
        print_json(found)
        return
    if "made_up" in found:
        print_line(f"{found['runtime']} {found['precision']}")
    else:
        print_line(f"{found['file']}, {found['images']} samples")
    for title, header, rows in tables(found):
        print_line(f"\n{title}")
        print_table(header, rows)


def drift(
    bundle: Annotated[Path, typer.Argument(help="A bundle.")],
    counters: Annotated[
        list[Path], typer.Argument(help="Files that the counters of its packages wrote.")
    ] = [],  # noqa: B006
    data: Annotated[
        Path | None,
        typer.Option(help="Or a folder of images or recordings from the field, at any depth."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Whether samples from the field still look like those trained on; drifted: exit code 1."""
    from edgedistill import api

    found = api.drift(bundle, data, counters)
    for note in found.get("notes", []):
        say(note)
    if as_json:
        print_json(found)
    else:
        print_line(found["note"])
    return 1 if found["verdict"] == "drifted" else 0


def benchmark(
    subject: Annotated[Path, typer.Argument(help="A bundle or a model file.")],
    device: Annotated[
        list[str],
        typer.Option(
            "--device",
            "-d",
            help="Where: local, adb[:SERIAL], ssh:HOST, emulator:CPU, browser[:BACKEND]; "
            "repeatable. `edgedistill device list` tells more.",
        ),
    ] = ["local"],  # noqa: B006
    threads: Threads = 1,
    protocol: Annotated[
        str,
        typer.Option(help="quick, mlperf (1,024 runs and a minute) or sustained (ten minutes)."),
    ] = "quick",
    runs: Annotated[int | None, typer.Option(min=10, help="Runs of each file.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Stop after this long.")] = None,
    benchmark_model: Annotated[
        Path | None,
        typer.Option(
            help="LiteRT's own program of that name, as released for the device: it measures "
            ".tflite files too, on local, adb and ssh. Tried with a stand-in, not a released one."
        ),
    ] = None,
    accelerator: Annotated[
        str, typer.Option(help="What that program is asked to use: xnnpack or gpu.")
    ] = "xnnpack",
    as_json: Json = False,
) -> None:
    """Latency and memory of model files, or instructions, on this machine and other devices."""
    from edgedistill import api
    from edgedistill.progress import Lines

    rows = api.benchmark(
        subject, threads=threads, runs=runs, seconds=seconds, reporter=Lines(), device=device,
        protocol=protocol, benchmark_model=benchmark_model, accelerator=accelerator,
    )  # fmt: skip
    columns = ("device", "file", "program", "runtime", "by", "precision", "size_kb", "p50_ms",
               "p90_ms", "p95_ms", "p99_ms", "mean_ms", "real_time_factor",
               "first_token_seconds", "tokens_per_second", "cold_load_ms", "warm_load_ms",
               "peak_memory_mb", "k_instructions")  # fmt: skip
    if as_json:
        print_json(rows)
        return
    shown: list[dict[str, Any]] = [dict(row) for row in rows]
    for row in shown:
        if benchmark_model:
            row.setdefault("by", "edgedistill")
        if row.get("instructions"):  # an emulated GPU counts none
            row["k_instructions"] = f"{row['instructions']['all'] / 1000:,.1f}"
    kept = [column for column in columns if _tells(shown, column)]
    print_rows([{column: row.get(column) for column in kept} for row in shown], kept, False)
    for row in shown:
        if row.get("shortfall"):
            say(f"{row['device']}: {row['file']}: not valid: {row['shortfall']}")
    _say_left(shown)
    _say_delegated(shown)
    for device_name, how, where in dict.fromkeys((r["device"], r["how"], r["where"]) for r in rows):
        say(f"{device_name}: {how}: {where}")


def _say_left(rows: list[dict[str, Any]]) -> None:
    """What ran that a better file would not have."""
    from edgedistill.devices.left_over import in_words
    from edgedistill.records import LeftOver

    for row in rows:
        for left in row.get("left", ()):
            say(f"{row['device']}: {row['file']}: {in_words(LeftOver(**left))}")


def _say_delegated(rows: list[dict[str, Any]]) -> None:
    """What `benchmark_model` was asked to use, and what it used."""
    from edgedistill.devices.left_over import PLAIN, named
    from edgedistill.records import LeftOver

    for row in (row for row in rows if row.get("by") == "benchmark_model"):
        told = f"{row['device']}: {row['file']}: benchmark_model was asked for {row['accelerator']}"
        if row["delegated"] is None:
            say(f"{told}, and tells not what it used")
            continue
        used = [f"{name} took {many}" for name, many in row["took"].items()]
        left = [f"{each['type']} {each['name']}" for each in row["operators"]
                if each["where"] in PLAIN]  # fmt: skip
        rest = f"; left to plain kernels: {named(LeftOver('undelegated', tuple(left), None, ''))}"
        say(
            f"{told}: {', '.join(used) or 'no delegate took any'} of {len(row['operators'])} "
            f"operators{rest if left else ''}"
        )


def _tells(rows: list[dict[str, Any]], column: str) -> bool:
    """Whether a column says something; that of programs only of several."""
    values = {row.get(column) for row in rows}
    return len(values) > 1 if column == "program" else values != {None}


def compare(
    a: Annotated[Path, typer.Argument(help="A bundle or a model file.")],
    b: Annotated[Path, typer.Argument(help="Another one.")],
    threads: Threads = 1,
    runs: Runs = 200,
    as_json: Json = False,
) -> None:
    """Two bundles or model files side by side, measured in turn."""
    from edgedistill import api

    rows = api.compare(a, b, threads=threads, runs=runs)
    print_rows(rows, ("figure", "unit", "a", "b", "where"), as_json)


def listen(
    bundle: Annotated[Path, typer.Argument(help="A bundle that was compiled for keywords.")],
    audio: Annotated[
        list[str],
        typer.Argument(
            help="Sound files of any rate; `-`: raw samples from standard input, int16, one "
            "channel, at the bundle's rate."
        ),
    ],
    runtime: Annotated[str | None, typer.Option(help="By this runtime's file.")] = None,
    precision: Annotated[str | None, typer.Option(help="By the file of this precision.")] = None,
    threads: Threads = 1,
    as_json: Json = False,
) -> None:
    """Print keywords as they are heard, a line for each: file, seconds, keyword, confidence; with
    --json a JSON object on each line."""
    import json
    import sys
    from dataclasses import asdict, replace

    from edgedistill.bundle import Bundle
    from edgedistill.bundle.piped import raw
    from edgedistill.console import flush

    opened = Bundle.load(bundle)
    for each in audio:
        sound: Any = raw(sys.stdin.buffer, say) if each == "-" else each
        for heard in opened.listen(sound, runtime, precision, threads, say):
            told = replace(heard, file=each)
            line = f"{each}  {told.seconds:.2f}  {told.keyword}  {told.confidence:.3f}"
            print_line(json.dumps(asdict(told)) if as_json else line)
            flush()


def transcribe(
    bundle: Annotated[Path, typer.Argument(help="A bundle with a recognizer of speech.")],
    audio: Annotated[list[Path], typer.Argument(help="Sound files of any rate and length.")],
    runtime: Annotated[str | None, typer.Option(help="By this runtime's files.")] = None,
    precision: Annotated[str | None, typer.Option(help="By the files of this precision.")] = None,
    threads: Threads = 1,
    segments: Annotated[
        bool,
        typer.Option("--segments", help="A line for each piece, with its times, as it comes."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Print what is said in recordings, a line for each; with --json a JSON object on each line."""
    from dataclasses import asdict

    from edgedistill.bundle import Bundle
    from edgedistill.files import check_regular

    for each in audio:
        check_regular(each, "sound file")
    opened = Bundle.load(bundle)
    for each in audio:
        name = f"{each}  " if len(audio) > 1 else ""
        if not segments:
            found = opened.transcribe(each, runtime, precision, threads, say=say)
            _print_said({"file": str(each), **asdict(found)}, name, as_json)
            continue
        for part in opened.segments(each, runtime, precision, threads, say=say):
            times = f"{name}{part.start:.2f}  {part.end:.2f}  "
            _print_said({"file": str(each), **asdict(part)}, times, as_json)


def _print_said(found: dict[str, Any], before: str, as_json: bool) -> None:
    import json

    from edgedistill.console import flush

    line = f"{before}{' '.join(found['text'].split())}".rstrip()
    print_line(json.dumps(found) if as_json else line)
    flush()
