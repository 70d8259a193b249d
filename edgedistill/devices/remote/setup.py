"""What devices of another processor than this machine's are given: programs for arm64."""

from __future__ import annotations

from collections.abc import Callable

from edgedistill.devices.findings import Finding
from edgedistill.errors import UserError

_SET_UP = "`edgedistill device setup adb`"


def setup(say: Callable[[str], None]) -> None:
    """Fetch the arm64 C library and runtimes and build the runner, as far as they are missing.

    Raises UserError: a program for that is not installed, or a registry is out of reach.
    """
    from edgedistill.devices.emulator.needs import programs
    from edgedistill.devices.emulator.setup import libraries_step
    from edgedistill.devices.emulator.steps import take
    from edgedistill.devices.emulator.wheels import runtime_steps
    from edgedistill.devices.native import runner

    missing = [each for each in programs() if not each.ok]
    if missing:
        raise UserError(
            f"arm64 devices cannot be set up for: {'; '.join(each.told for each in missing)}",
            "; ".join(dict.fromkeys(each.get for each in missing)),
        )
    take([libraries_step(), *runtime_steps().values()], say)
    say(f"the runner for aarch64: {runner('aarch64')}")


def for_arm64() -> Finding:
    """Whether that is done; an x86_64 device does not need it."""
    from edgedistill.devices.emulator.setup import libraries_step
    from edgedistill.devices.emulator.steps import is_current
    from edgedistill.devices.emulator.wheels import runtime_steps

    try:
        missing = [
            step.what
            for step in (libraries_step(), *runtime_steps().values())
            if not is_current(step)
        ]
    except (UserError, OSError) as error:
        return Finding("for arm64 devices", False, str(error).splitlines()[0], _SET_UP)
    told = f"not set up: {', '.join(missing)}" if missing else "set up"
    return Finding("for arm64 devices", not missing, told, _SET_UP if missing else "")


def versions(isa: str) -> dict[str, str]:
    """Of the runtimes that such a device is given, by package."""
    from edgedistill.devices.emulator.steps import entry
    from edgedistill.devices.emulator.wheels import runtime_steps

    steps = runtime_steps().values()
    wanted = [(entry(step) or {}).get("wanted", {}) if isa == "aarch64" else step.wanted
              for step in steps]  # fmt: skip
    return {package: version for each in wanted for package, version in each.items()}
