"""The commands: parse and print, decide nothing.

Data goes to standard output, words and progress to standard error.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edgedistill.bundle_commands import (
    audit,
    benchmark,
    compare,
    drift,
    evaluate,
    listen,
    transcribe,
)
from edgedistill.cache_commands import CacheFolder, Json, cache_app
from edgedistill.console import (
    print_json,
    print_line,
    print_report,
    print_table,
    say,
)
from edgedistill.device_commands import device_app
from edgedistill.package_commands import package
from edgedistill.search_commands import search

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
app.add_typer(device_app, name="device")

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
    TRANSCRIPTION = "transcription"
    MANIFEST = "manifest"
    RECOGNIZER = "recognizer"
    REPORT = "report"
    APP = "app"
    RECOGNITION = "recognition"
    SEARCH = "search"


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
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            "-d",
            help="Measure there too, and hold the contract against it: adb[:SERIAL], ssh:HOST, "
            "browser, emulator:CPU; else the target's own device, if it is there.",
        ),
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
            device=device,
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
        Schema,
        typer.Argument(
            help="Of a recipe, or of one for transcription, for editors; of a bundle's manifest, "
            "that of a recognizer of speech, or a report; of a package's app; of a search."
        ),
    ] = Schema.RECIPE,
) -> None:
    """Print a JSON Schema: the recipe's, or that of what a bundle or a package holds."""
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
    data: Annotated[
        str,
        typer.Option(
            help="A folder with a folder for each class (or with train and test in it), of images "
            "or recordings; a folder with train and test parquet or npz files; a parquet file or a "
            "JSONL manifest of recordings; or `digits`. With a Whisper as teacher, recordings of "
            "speech in a folder of any depth, a parquet file or a manifest."
        ),
    ],
    teacher: Annotated[
        str | None,
        typer.Option(
            help="resnet_cifar:DEPTH, torchvision:NAME, timm:NAME, MODULE:FUNCTION, or a "
            ".safetensors file of a CIFAR-style residual network. Of sound ds_cnn:WIDTH, "
            "bc_resnet:SCALE, keyword_transformer, huggingface:NAME or MODULE:FUNCTION; else one "
            "is suggested. Of speech a Whisper's folder, or its name on the hub."
        ),
    ] = None,
    target: Annotated[
        str, typer.Option("--target", "-t", help="A target's name.")
    ] = "android-arm64",
    weights: Annotated[
        Path | None, typer.Option(help="The teacher's weights, a .safetensors file.")
    ] = None,
    student: Annotated[
        str | None,
        typer.Option(help="As --teacher; else one that suits the data and the target."),
    ] = None,
    student_weights: Annotated[
        Path | None, typer.Option(help="What the student begins from, a .safetensors file.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The recipe to write.")] = Path(
        "recipe.yaml"
    ),
) -> None:
    """Write a commented recipe for your own model and images or recordings."""
    from edgedistill.starter import write_recipe

    for note in write_recipe(out, teacher, weights, data, target, student, student_weights):
        say(note)
    say(f"wrote {out}; next: edgedistill check {out} --target {target}")


for _command in (evaluate, audit, drift, listen, transcribe, benchmark, compare, package, search):
    app.command()(_command)
