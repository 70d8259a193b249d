"""The emulator as it is set up here (`edgedistill device setup emulator`)."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exported import Exported

from benchmarks.emulator import CORES, Core, expected, total
from edgedistill.devices import private
from edgedistill.devices.emulator import Emulator, examine, open_device, setup
from edgedistill.devices.emulator import device as emulator
from edgedistill.devices.emulator.counts import read_counts
from edgedistill.devices.emulator.cpus import CPUS
from edgedistill.devices.emulator.setup import PLUGIN
from edgedistill.devices.job import Job
from edgedistill.errors import UserError
from edgedistill.runtimes import RUNTIMES

pytestmark = pytest.mark.emulator

BY_CLASS = {
    "sdot": "sdot v0.4s,v1.16b,v2.16b; sdot v0.4s,v1.16b,v2.4b[3]; udot v0.2s,v1.8b,v2.4b[0]",
    "smmla": "smmla v0.4s,v1.16b,v2.16b; ummla v0.4s,v1.16b,v2.16b",
    "smlal": "smlal v0.8h,v1.8b,v2.8b; smlal2 v0.4s,v1.8h,v2.h[7]; umlal v0.2d,v1.2s,v2.s[1]; "
    "smull v0.8h,v1.8b,v2.8b; smull2 v0.4s,v1.8h,v2.h[3]",
    "fmla": "fmla v0.4s,v1.4s,v2.4s; fmla v0.4s,v1.4s,v2.s[3]; fmla v0.2d,v1.2d,v2.d[1]; "
    "fmla v0.8h,v1.8h,v2.8h; fmla v0.8h,v1.8h,v2.h[7]",
    "loads_stores": "ldr x3,[sp]; str x3,[sp]; ldp q0,q1,[sp]; ld1 {v0.16b,v1.16b},[sp]; "
    "ldrb w3,[sp,#1]",
    "": "add x3,x3,#1; mul v0.4s,v1.4s,v2.4s; smlsl v0.8h,v1.8b,v2.8b; fmls v0.4s,v1.4s,v2.4s; "
    "fadd v0.4s,v1.4s,v2.4s; pmull v0.8h,v1.8b,v2.8b; usdot v0.4s,v1.16b,v2.16b",
}
"""Instructions by the class that they count in."""
PROGRAM = """
.arch armv8.6-a+i8mm+dotprod+fp16+crypto
.macro mark, which
    mov x0, #999
    mov x1, #\\which
    movk x1, #0xED, lsl #16
    mov x2, #0
    mov x8, #62
    svc #0
.endm
.global _start
_start: mov x20, #3
again: mark 1
    BODY
    mark 2
    sdot v0.4s, v1.16b, v2.16b
    subs x20, x20, #1
    b.ne again
    mov x0, #0
    mov x8, #93
    svc #0
"""
HARDWARE = """
#include <stdio.h>
#include <sys/auxv.h>
int main(void) {
  unsigned long midr;
  __asm__("mrs %0, midr_el1" : "=r"(midr));
  printf("%lu %lu %lu", getauxval(AT_HWCAP), getauxval(AT_HWCAP2), midr);
}
"""
# arch/arm64/include/uapi/asm/hwcap.h of Linux, in the order of the bits.
HWCAP = (
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm jscvt fcma "
    "lrcpc dcpop sha3 sm3 sm4 asimddp sha512 sve asimdfhm dit uscat ilrcpc flagm ssbs sb paca pacg"
).split()
HWCAP2 = (
    "dcpodp sve2 sveaes svepmull svebitperm svesha3 svesm4 flagm2 frint svei8mm svef32mm svef64mm "
    "svebf16 i8mm bf16 dgh rng bti mte ecv afp rpres mte3 sme"
).split()


@pytest.fixture(scope="module", autouse=True)
def ready() -> None:
    try:
        open_device("cortex-a76")
    except UserError as error:
        pytest.skip(str(error))


def built(folder: Path, source: str, suffix: str, *options: str) -> Path:
    (folder / f"a{suffix}").write_text(source)
    command = ["aarch64-linux-gnu-gcc", "-static", *options, "-o", "a.out", f"a{suffix}"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "a.out"


def job(exported: Exported, folder: Path, runtime: str, precision: str = "int8") -> Job:
    np.savez(folder / "inputs.npz", pixels=exported.pixels(4))
    return Job(exported.file(runtime, precision), runtime, folder / "inputs.npz")


def test_instructions_are_counted_by_class_between_the_marks_alone(tmp_path: Path) -> None:
    body = "\n".join(text.replace("; ", "\n") for text in BY_CLASS.values())
    program = built(tmp_path, PROGRAM.replace("BODY", body), ".S", "-nostdlib")
    plugin = private.folder().absolute() / PLUGIN / "counter.so"
    command = [
        "qemu-aarch64",
        "-cpu",
        "max,sme=off",
        "-plugin",
        f"{plugin},out=counts",
        str(program),
    ]
    subprocess.run(command, cwd=tmp_path, check=True)
    wanted = {name: text.count(";") + 1 for name, text in BY_CLASS.items()}
    # The second mark's six, up to the call that ends the region.
    wanted["all"] = sum(wanted.values()) + 6
    del wanted[""]
    assert read_counts(tmp_path / "counts") == [wanted] * 3


def test_a_processor_says_the_same_of_itself_in_its_root_as_by_its_instructions(
    tmp_path: Path,
) -> None:
    program = built(tmp_path, HARDWARE, ".c")
    for cpu in CPUS.values():
        command = ["qemu-aarch64", "-cpu", cpu.qemu, str(program)]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        first, second, midr = map(int, said.split())
        features = [name for bit, name in enumerate(HWCAP) if first >> bit & 1]
        features += [name for bit, name in enumerate(HWCAP2) if second >> bit & 1]
        assert cpu.features.split() == features
        assert cpu.midr == midr


@pytest.mark.parametrize("name", CPUS)
def test_int8_outputs_are_those_of_this_machine(
    exported: Exported, tmp_path: Path, name: str
) -> None:
    asked = job(exported, tmp_path, "litert")
    with open_device(name) as device:
        record = device.run(asked)
    loaded = RUNTIMES["litert"].load(asked.model)
    pixels = exported.pixels(4)
    for place, values in enumerate(record.outputs["logits"]):
        here = loaded.run(loaded.encode({"pixels": pixels[place : place + 1]}))["logits"]
        np.testing.assert_array_equal(values, here[0])


def test_counts_repeat(exported: Exported, tmp_path: Path) -> None:
    asked = job(exported, tmp_path, "litert")
    with open_device("cortex-a76") as device:
        first, second = device.run(asked).instructions, device.run(asked).instructions
    assert first == second
    assert first["all"] > 2 * first["sdot"]


@pytest.mark.parametrize("core", CORES, ids=lambda core: core.cpu)
def test_counts_are_the_tiles_of_the_files_layers(
    exported: Exported, tmp_path: Path, core: Core
) -> None:
    asked = job(exported, tmp_path, "litert")
    with open_device(core.cpu) as device:
        found = device.run(asked).instructions
    assert found[core.instruction] == total(expected(asked.model, core))[core.instruction]


def test_each_processor_uses_its_own_instructions(exported: Exported, tmp_path: Path) -> None:
    found = {}
    for name in ("cortex-a53", "cortex-a76", "i8mm"):
        with open_device(name) as device:
            found[name] = device.run(job(exported, tmp_path, "litert")).instructions
    assert "sdot" not in found["cortex-a53"]
    assert found["cortex-a53"]["smlal"] > 0
    assert "smmla" not in found["cortex-a76"]
    assert 0 < found["i8mm"]["smmla"] < found["cortex-a76"]["sdot"]
    assert found["cortex-a53"]["all"] > found["cortex-a76"]["all"]


def test_onnxruntime_counts_within_a_thousandth_or_two(exported: Exported, tmp_path: Path) -> None:
    asked = job(exported, tmp_path, "onnxruntime")
    with open_device("cortex-a76") as device:
        first, second = device.run(asked), device.run(asked)
    assert second.instructions["all"] == pytest.approx(first.instructions["all"], rel=0.005)
    assert first.instructions["sdot"] > 0
    np.testing.assert_array_equal(first.outputs["logits"], second.outputs["logits"])


def test_no_time_and_no_memory_is_told(exported: Exported, tmp_path: Path) -> None:
    asked = job(exported, tmp_path, "litert", "fp32")
    with open_device("cortex-a76") as device:
        record = device.run(asked)
        assert device.how == "emulated"
    assert (record.cold_load_ms, record.warm_load_ms, record.import_ms) == (None, None, None)
    assert (record.samples_ms, record.warmup_ms, record.peak_memory_mb) == ([], [], None)
    assert record.operators
    assert {row.microseconds for row in record.operators} == {None}
    assert "XNNPACK" in {row.where for row in record.operators}
    assert record.instructions["fmla"] > 0


def test_the_device_says_what_it_is() -> None:
    with open_device("cortex-a76") as device:
        identity = device.identity()
        assert device.name == "emulator:cortex-a76"
    assert (identity.name, identity.isa) == ("cortex-a76", "aarch64")
    assert identity.flags == ("neon", "dotprod")
    assert re.fullmatch(r"QEMU \d+\.\d+\.\d+", identity.system)
    assert identity.facts["libc6"]
    assert identity.versions["ai-edge-litert"]
    assert all(finding.ok for finding in examine())


def test_a_processor_that_lacks_an_instruction_is_told(exported: Exported, tmp_path: Path) -> None:
    """A core that says it has the dot product, and has it not."""
    liar = Emulator(replace(CPUS["cortex-a76"], qemu="cortex-a53"), ("litert",))
    with pytest.raises(UserError) as got:
        liar.run(job(exported, tmp_path, "litert"))
    assert got.value.message == (
        "measuring tiny.int8.tflite in litert: the runtime needs an instruction that this "
        "processor does not have (SIGILL)"
    )


def test_a_job_that_hangs_is_ended_and_nothing_is_left_behind(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = job(exported, tmp_path, "litert")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    with open_device("cortex-a76") as device:
        monkeypatch.setattr(emulator, "_PATIENCE", 0.01)
        with pytest.raises(
            UserError, match=r"on emulator:cortex-a76: has not ended within 0\.01 s"
        ):
            device.run(asked)
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
def test_two_fresh_set_ups_hold_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifests = []
    for name in ("first", "second"):
        monkeypatch.setenv("EDGEDISTILL_DEVICES", str(tmp_path / name))
        setup(lambda _: None)
        manifests.append((tmp_path / name / "emulator/manifest.json").read_bytes())
        shutil.rmtree(tmp_path / name)
    assert manifests[0] == manifests[1]
