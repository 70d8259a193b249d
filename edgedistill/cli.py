"""The commands: parse and print, decide nothing.

Data goes to standard output, words and progress to standard error.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edgedistill.cache_commands import CacheFolder, Json, cache_app
from edgedistill.console import (
    print_json,
    print_line,
    print_report,
    print_rows,
    print_table,
    say,
)

app = typer.Typer(
    name="edgedistill",
    help="Compile a vision teacher into a small, quantized model for phones and boards.",
    add_completion=False,
    no_args_is_help=True,
    # Rendering help through Rich would take twice as long.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(cache_app, name="cache")

RecipeFile = Annotated[
    Path | None, typer.Argument(help="A recipe (YAML); none: the embedded digits.")
]
Targets = Annotated[
    list[str], typer.Option("--target", "-t", help="A target's name or .yaml file; repeatable.")
]
Settings = Annotated[
    list[str], typer.Option("--set", help="Override: stages.distill.epochs=3; repeatable.")
]


class Schema(StrEnum):
    """Documents that have a schema."""

    RECIPE = "recipe"
    MANIFEST = "manifest"
    REPORT = "report"


Threads = Annotated[int, typer.Option(min=1, help="Threads of the runtime.")]
Runs = Annotated[int, typer.Option(min=10, help="Runs of each model.")]


@app.callback(invoke_without_command=True)
def _top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from edgedistill import __version__

        print_line(f"edgedistill {__version__}")
        raise typer.Exit
    from edgedistill.scratch import scratch_for_all

    context.with_resource(scratch_for_all())


@app.command("compile")
def compile_(
    recipe: RecipeFile = None,
    target: Targets = ["android-arm64"],  # noqa: B006
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Bundle folder; else ./RECIPE-TARGET.")
    ] = None,
    settings: Settings = [],  # noqa: B006
    cache: CacheFolder = None,
    as_json: Json = False,
) -> int:
    """Run a recipe and write a bundle for each target."""
    from edgedistill import api
    from edgedistill.progress import reporting

    with reporting() as reporter:
        if recipe is None:
            reporter.say("no recipe given: compiling the embedded default, handwritten digits")
        made = api.compile(
            recipe,
            target if len(target) > 1 else target[0],
            out=out,
            cache=cache,
            set=settings,
            reporter=reporter,
        )
    bundles = made if isinstance(made, list) else [made]
    if as_json:
        print_json([{"path": str(b.path), "report": b.report} for b in bundles])
    else:
        for bundle in bundles:
            print_report(bundle.report, str(bundle.path))
    return 0 if all(bundle.ok for bundle in bundles) else 1


@app.command()
def teach(
    recipe: RecipeFile = None,
    export: Annotated[
        Path | None, typer.Option(help="Write the answers as parquet too, to this file.")
    ] = None,
    settings: Settings = [],  # noqa: B006
    cache: CacheFolder = None,
    as_json: Json = False,
) -> None:
    """Ask the teacher for all answers that training needs, and keep them."""
    from edgedistill import api
    from edgedistill.progress import reporting

    with reporting() as reporter:
        told = api.teach(recipe, export, cache, settings, reporter)
    if as_json:
        print_json(told)
        return
    right = ", ".join(f"{each:.2f}" for each in told["training_quality"])
    rows = [("answers", told["answers"]), ("quality on each view, %", right),
            ("MB", told["bytes"] / 1e6)]  # fmt: skip
    if "kept_divergence" in told:
        rows += [("lost by the form, nats", told["kept_divergence"]),
                 ("same top class, %", told["kept_top1"])]  # fmt: skip
    print_table(("figure", ""), rows)
    if export is not None:
        say(f"wrote {export}")


@app.command()
def check(
    recipe: RecipeFile = None,
    target: Targets = ["android-arm64"],  # noqa: B006
    settings: Settings = [],  # noqa: B006
    cache: CacheFolder = None,
    as_json: Json = False,
) -> None:
    """Validate a recipe and show what would run."""
    from dataclasses import asdict

    from edgedistill.api import read_recipe
    from edgedistill.cache import Cache, default_root
    from edgedistill.pipeline import plan
    from edgedistill.target import check_names, load_target

    wanted = read_recipe(recipe, settings)
    targets = [load_target(name) for name in target]
    check_names(targets)
    rows, notes = plan(wanted, targets, Cache(cache or default_root(), say))
    if as_json:
        print_json([asdict(row) for row in rows])
    else:
        print_table(("target", "stage", ""), [(row.target, row.name, row.state) for row in rows])
    for note in notes:
        say(note)
    if any(row.state != "cached" for row in rows):
        say(f"next: {_compile_command(recipe, target, settings, cache)}")


def _compile_command(
    recipe: Path | None, targets: Sequence[str], settings: Sequence[str], cache: Path | None
) -> str:
    import shlex

    words = ["edgedistill", "compile", *([str(recipe)] if recipe else [])]
    for name in targets:
        words += ["--target", name]
    for each in settings:
        words += ["--set", each]
    return shlex.join([*words, *(["--cache", str(cache)] if cache else [])])


@app.command()
def schema(
    of: Annotated[
        Schema, typer.Argument(help="Of a recipe, for editors; of a bundle's manifest or report.")
    ] = Schema.RECIPE,
) -> None:
    """Print a JSON Schema: the recipe's, or that of what a bundle holds."""
    from edgedistill.schemas import schema_of

    print_json(schema_of(of.value))


@app.command()
def targets(
    name: Annotated[str | None, typer.Argument(help="Show this one.")] = None,
    as_json: Json = False,
) -> None:
    """List the targets, or show one as YAML."""
    import yaml

    from edgedistill.target import load_target, target_files

    names = [name] if name else list(target_files())
    found = [load_target(each).model_dump(mode="json") for each in names]
    if as_json:
        print_json(found[0] if name else found)
    elif name:
        print_line(yaml.safe_dump(found[0], sort_keys=False, default_flow_style=None).rstrip())
    else:
        rows = [(each["name"], each["runtimes"][0], each["description"]) for each in found]
        print_table(("name", "runtime", "description"), rows)


@app.command()
def init(
    teacher: Annotated[
        str,
        typer.Option(
            help="resnet_cifar:DEPTH, torchvision:NAME, timm:NAME, MODULE:FUNCTION, or a "
            ".safetensors file of a CIFAR-style residual network."
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            help="A folder with a folder for each class (or with train and test in it), a folder "
            "with train and test parquet or npz files, or `digits`."
        ),
    ],
    target: Annotated[
        str, typer.Option("--target", "-t", help="A target's name.")
    ] = "android-arm64",
    weights: Annotated[
        Path | None, typer.Option(help="The teacher's weights, a .safetensors file.")
    ] = None,
    student: Annotated[
        str | None,
        typer.Option(help="As --teacher; else one that suits the images and the target."),
    ] = None,
    student_weights: Annotated[
        Path | None, typer.Option(help="What the student begins from, a .safetensors file.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The recipe to write.")] = Path(
        "recipe.yaml"
    ),
) -> None:
    """Write a commented recipe for your own model and images."""
    from edgedistill.starter import write_recipe

    for note in write_recipe(out, teacher, weights, data, target, student, student_weights):
        say(note)
    say(f"wrote {out}; next: edgedistill check {out} --target {target}")


@app.command()
def evaluate(
    bundle: Annotated[Path, typer.Argument(help="A bundle.")],
    data: Annotated[
        Path | None,
        typer.Option(
            help="A folder of class folders, a .parquet or .npz file, or a recipe's test set."
        ),
    ] = None,
    runtime: Annotated[str | None, typer.Option(help="Only this runtime's files.")] = None,
    precision: Annotated[str | None, typer.Option(help="Only files of this precision.")] = None,
    as_json: Json = False,
) -> None:
    """How good a bundle's files are on a test set."""
    from edgedistill import api

    rows = api.evaluate(bundle, data, runtime, precision)
    for note in rows[0].get("notes", []):
        say(note)
    columns = [column for column in rows[0] if column not in ("file", "notes")]
    print_rows(rows, ["file", *columns], as_json)


@app.command()
def audit(
    bundle: Annotated[Path, typer.Argument(help="A bundle.")],
    data: Annotated[
        Path | None, typer.Option(help="Other labelled images, as `evaluate` takes them.")
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
    print_line(f"{found['file']}, {found['images']} images")
    for title, header, rows in tables(found):
        print_line(f"\n{title}")
        print_table(header, rows)


@app.command()
def drift(
    bundle: Annotated[Path, typer.Argument(help="A bundle.")],
    data: Annotated[Path, typer.Option(help="A folder of images from the field, at any depth.")],
    as_json: Json = False,
) -> int:
    """Whether images from the field still look like those trained on; drifted: exit code 1."""
    from edgedistill import api

    found = api.drift(bundle, data)
    for note in found.get("notes", []):
        say(note)
    if as_json:
        print_json(found)
    else:
        print_line(found["note"])
    return 1 if found["verdict"] == "drifted" else 0


@app.command()
def benchmark(
    subject: Annotated[Path, typer.Argument(help="A bundle or a model file.")],
    threads: Threads = 1,
    runs: Runs = 200,
    seconds: Annotated[float, typer.Option(min=0.1, help="Stop after this long.")] = 5.0,
    as_json: Json = False,
) -> None:
    """Latency and memory of model files on this machine."""
    from edgedistill import api
    from edgedistill.progress import Lines

    rows = api.benchmark(subject, threads=threads, runs=runs, seconds=seconds, reporter=Lines())
    columns = ("file", "runtime", "precision", "size_kb", "p50_ms", "p90_ms", "p99_ms",
               "cold_load_ms", "warm_load_ms", "peak_memory_mb")  # fmt: skip
    print_rows(rows, columns, as_json)
    if rows:
        say(f"measured on {rows[0]['where']}")


@app.command()
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
