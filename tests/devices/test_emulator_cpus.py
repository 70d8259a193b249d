from __future__ import annotations

from pathlib import Path

import pytest

from edgedistill.devices.emulator import open_device
from edgedistill.devices.emulator.counts import of_one, read_counts
from edgedistill.devices.emulator.cpus import CPUS, write_root
from edgedistill.errors import UserError


def test_a_root_tells_of_its_processor_alone(tmp_path: Path) -> None:
    write_root(CPUS["cortex-a76"], tmp_path)
    told = (tmp_path / "proc/cpuinfo").read_text().splitlines()
    assert told[2].startswith("Features\t: fp asimd aes")
    assert told[3:8] == [
        "CPU implementer\t: 0x41", "CPU architecture: 8", "CPU variant\t: 0x4", "CPU part\t: 0xd0b",
        "CPU revision\t: 1",
    ]  # fmt: skip
    cores = tmp_path / "sys/devices/system/cpu"
    assert (cores / "possible").read_text() == "0\n"
    midr = cores / "cpu0/regs/identification/midr_el1"
    assert midr.read_text() == "0x00000000414fd0b1\n"


def test_processors_have_the_features_that_targets_name() -> None:
    assert CPUS["cortex-a53"].flags == CPUS["cortex-a72"].flags == ("neon",)
    assert CPUS["cortex-a76"].flags == CPUS["neoverse-n1"].flags == ("neon", "dotprod")
    assert {"neon", "dotprod", "i8mm"} <= set(CPUS["i8mm"].flags)
    assert "sme" not in CPUS["i8mm"].flags
    assert CPUS["i8mm"].qemu == "max,sme=off"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("cortex-a67", "emulator:cortex-a67: no such processor\nhint: did you mean `cortex-a76`?"),
        (
            "",
            "emulator: which processor?\nhint: one of: emulator:cortex-a53, emulator:cortex-a72, "
            "emulator:cortex-a76, emulator:neoverse-n1, emulator:i8mm",
        ),
    ],
)
def test_another_processor_is_refused(name: str, told: str) -> None:
    with pytest.raises(UserError) as got:
        open_device(name)
    assert str(got.value) == told


def test_counts_are_the_medians_of_all_inferences_but_the_first(tmp_path: Path) -> None:
    path = tmp_path / "counts.txt"
    path.write_text("all sdot fmla\n900 7 0\n101 5 0\n100 5 0\n200 5 0\n")
    regions = read_counts(path)
    assert regions[0] == {"all": 900, "sdot": 7, "fmla": 0}
    assert of_one(regions) == {"all": 101.0, "sdot": 5.0}
