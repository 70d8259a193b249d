"""The commands on devices: parse and print, decide nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgedistill.cache_commands import Json
from edgedistill.console import print_json, print_line, print_table, say

device_app = typer.Typer(
    help="Devices to measure on: which there are, what each needs, and its setting up.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Name = Annotated[str | None, typer.Argument(help="Only this one: local, adb, ssh, ...")]


@device_app.command("list")
def list_(as_json: Json = False) -> None:
    """How each kind of device is named, as `benchmark --device` takes it."""
    from edgedistill.devices import DEVICES

    rows = [
        (f"{entry.name}:{entry.takes}" if entry.takes else entry.name, entry.about)
        for entry in DEVICES.values()
    ]
    if as_json:
        print_json([dict(zip(("device", "about"), row, strict=True)) for row in rows])
    else:
        print_table(("device", ""), rows)


@device_app.command()
def doctor(name: Name = None, as_json: Json = False) -> int:
    """What each device needs, what of it is here, and how to get the rest; exit code 1 where
    something is missing of the device that is named."""
    from dataclasses import asdict

    from edgedistill.devices import examined

    found = examined(name)
    if as_json:
        print_json({kind: [asdict(each) for each in rows] for kind, rows in found.items()})
    else:
        for kind, rows in found.items():
            print_line(f"{kind}: {'ready' if all(each.ok for each in rows) else 'not ready'}")
            for each in rows:
                print_line(f"  {'ok     ' if each.ok else 'missing'}  {each.what}: {each.told}")
                if not each.ok and each.get:
                    print_line(f"           {each.get}")
    missing = any(not each.ok for rows in found.values() for each in rows)
    return 1 if name and missing else 0


@device_app.command()
def setup(
    name: Annotated[str, typer.Argument(help="adb, ssh, emulator or browser.")],
) -> None:
    """Build what a device needs in a private folder: nothing else of the machine is changed."""
    from edgedistill.devices import set_up

    set_up(name, say)
    say(f"{name} is ready; `edgedistill device doctor {name}` shows what it found")


@device_app.command()
def costs(
    file: Annotated[Path, typer.Argument(help="A .tflite file, or a bundle that has one.")],
    device: Annotated[str, typer.Option(help="Whose prices: emulator:cortex-a76, local, ...")],
    target: Annotated[
        str, typer.Option(help="Whose kernels' steps, and threads.")
    ] = "android-arm64",
    cache: Annotated[Path | None, typer.Option(help="Where prices are kept.")] = None,
    as_json: Json = False,
) -> None:
    """What each operator of a file costs on a device, told from operators of the nearest sizes that
    were counted or timed there once."""
    from dataclasses import asdict

    from edgedistill.costs.estimate import estimated

    found = estimated(file, device, target, cache, say)
    if as_json:
        print_json(asdict(found))
        return
    places = 0 if found.unit == "instructions" else 2

    def told(price: float) -> str:
        return f"{price:,.{places}f}"

    rows = [(row.name, row.operator, row.size, told(row.price)) for row in found.rows]
    rows.append(("", "", "all else", told(found.fixed)))
    rows.append(("", "", "an inference", told(found.total)))
    print_table(("name", "operator", "size", found.unit), rows)
    print_line(f"estimated from {found.asked} operators asked now, and others before, of "
               f"{found.where}")  # fmt: skip
    for text in found.notes:
        print_line(text)
