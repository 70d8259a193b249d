from __future__ import annotations

import subprocess

import pytest

from edgedistill.devices.remote import facts

# As an Nvidia Shield of 2019, and a Samsung with Android 16, print it; the latter cut in the
# middle of its sensors.
SHIELD = """\
IsStatusOverride: false
ThermalEventListeners:
	callbacks: 1
	killed: false
	broadcasts count: -1
ThermalStatusListeners:
	callbacks: 2
	killed: false
	broadcasts count: -1
Thermal Status: 0
Cached temperatures:
	Temperature{mValue=36.0, mType=1, mName=GPU, mStatus=0}
	Temperature{mValue=37.0, mType=0, mName=CPU0, mStatus=0}
HAL Ready: true
HAL connection:
	ThermalHAL 1.1 connected: yes
Current temperatures from HAL:
	Temperature{mValue=66.5, mType=0, mName=CPU0, mStatus=0}
	Temperature{mValue=61.0, mType=1, mName=GPU, mStatus=0}
Current cooling devices from HAL:
"""
SAMSUNG = """\
IsStatusOverride: false
ThermalEventListeners:
	callbacks: 2
	killed: false
	broadcasts count: -1
ThermalStatusListeners:
	callbacks: 5
	killed: false
	broadcasts count: -1
Thermal Status: 1
Cached temperatures:
	Temperature{mValue=0.0, mType=2, mName=SUBBAT, mStatus=0}
	Temperature{mValue=38.1, mType=0, mName=AP, mStatus=0}
	Temperature{mValue=36.9, mType=5, mName=PA, mStatus=0}
	Temperature{mValue=32.2, mType=2, mName=BAT, mStatus=0}
	Temperature{mValue=0.0, mType=4, mName=USB, mStatus=0}
	Temperature{mValue=45.9, mType=3, mName=SKIN, mStatus=1}
HAL Ready: true
HAL connection:
	ThermalHAL AIDL 1  connected: yes
Current temperatures from HAL:
	Temperature{mValue=44.8, mType=0, mName=AP, mStatus=0}
	Temperature{mValue=-99.9, mType=5, mName=PA, mStatus=0}
	Temperature{mValue=38.0, mType=3, mName=SKIN, mStatus=1}
Current cooling devices from HAL:
Temperature static thresholds from HAL:
	TemperatureThreshold{mType=3, mName=SKIN, mHotThrottlingThresholds=[38.0, 40.0, 42.0, 45.0]}
Temperature headroom thresholds:
[NaN, 0.8333333, 0.9, 1.0, 1.0666667, 1.5, 2.5]
"""
BATTERY = """\
Current Battery Service state:
  mBootCompleted: true
  AC powered: false
  USB powered: true
  Wireless powered: false
  Max charging current: 0
  Max charging voltage: 0
  Charge counter: 0
  status: 2
  health: 2
  present: true
  level: 84
  scale: 100
  voltage: 4063
  temperature: 326
  technology: Li-ion
  batterySWSelfDischarging: false
  LED Charging: true
  current now: 321
  charge counter: 0
USE_FAKE_BATTERY: false
  LLB MAN: 20160426
"""
GETPROP = """\
[ro.build.fingerprint]: [google/shiba/shiba:15/AP4A.250105.002/12701944:user/release-keys]
[ro.build.version.release]: [15]
[ro.product.model]: [Pixel 8]
[ro.soc.manufacturer]: [Google]
[ro.soc.model]: [Tensor G3]
[ro.empty]: []
"""
PIXEL_CPU = """\
processor	: 0
BogoMIPS	: 49.15
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp asimddp i8mm bf16
CPU implementer	: 0x41
CPU part	: 0xd46

processor	: 1
BogoMIPS	: 49.15
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp asimddp i8mm bf16
"""
PHONE = {
    "machine": "aarch64",
    "kernel": "Linux 5.15.149-android14-11",
    "cpuinfo": PIXEL_CPU,
    "page size": "4096",
    "governor": "sched_pixel\nsched_pixel",
    "board": "",
    "getprop": GETPROP,
}


def test_a_phone_is_known_by_its_model_its_android_and_its_processor() -> None:
    assert facts.name(PHONE) == "Pixel 8"
    assert facts.system(PHONE) == "Android 15"
    assert facts.processor(PHONE)[1] == ["neon", "dotprod", "i8mm", "bf16"]
    assert facts.more(PHONE) == {
        "soc": "Google Tensor G3",
        "fingerprint": "google/shiba/shiba:15/AP4A.250105.002/12701944:user/release-keys",
        "page_size": "4096",
        "governor": "sched_pixel",
        "cores": "2",
        "kernel": "Linux 5.15.149-android14-11",
    }


def test_a_board_is_known_by_its_own_name_and_what_it_does_not_tell_is_left_out() -> None:
    board = {"machine": "aarch64", "kernel": "Linux 6.6.51", "board": "Raspberry Pi 5 Model B"}
    assert facts.name(board) == "Raspberry Pi 5 Model B"
    assert facts.system(board) == "Linux 6.6.51"
    assert facts.more(board) == {"kernel": "Linux 6.6.51"}
    assert facts.name({"machine": "aarch64"}) == "aarch64"
    assert facts.more({}) == {}


@pytest.mark.parametrize(
    ("told", "state"),
    [
        ({"thermal": SHIELD}, {"thermal_status": "none"}),
        ({"thermal": SAMSUNG}, {"thermal_status": "light", "skin_c": 38.0}),
        (
            {"thermal": SHIELD.replace("Override: false", "Override: true")},
            {"thermal_status": "none, set by hand"},
        ),
        ({"thermal": SAMSUNG[:300]}, {"thermal_status": "light"}),
        ({"thermal": "Can't find service: thermalservice"}, {}),
        ({"headroom": "Headroom in 0 seconds: 0.7133333"}, {"thermal_headroom": 0.7133333}),
        ({"headroom": "Headroom in 0 seconds: NaN"}, {}),
        ({"headroom": "Error: thermal HAL is not ready"}, {}),
        ({"battery": BATTERY}, {"battery_percent": 84.0, "charging": "USB"}),
        (
            {"battery": BATTERY.replace("USB powered: true", "USB powered: false")},
            {"battery_percent": 84.0, "charging": "no"},
        ),
        ({"battery": BATTERY.replace("level: 84", "level: 42").replace("100", "50")},
         {"battery_percent": 84.0, "charging": "USB"}),
        ({"battery": "Current Battery Service state:\n  (UPDATES STOPPED -- use 'reset')\n"
                     "  USB powered: true\n  level: 50\n"}, {}),
        ({"load": "0.52 0.58 0.59 1/917 12345"}, {"load": 0.52}),
        ({"zones": "45277\n61000\n-5000"}, {"hottest_c": 61.0}),
        ({"thermal": "", "battery": "", "load": "", "zones": ""}, {}),
    ],
)  # fmt: skip
def test_a_device_tells_how_it_is(told: dict[str, str], state: dict[str, str | float]) -> None:
    assert facts.state(told) == state


def test_a_shell_is_asked_and_its_answers_come_apart_again() -> None:
    questions = {"at": "echo 12", "silent": "nothing-of-that-name", "lines": "echo a; echo b"}
    done = subprocess.run(
        ["sh", "-c", "echo hello from a profile\n" + facts.asking(questions) * 2],
        capture_output=True,
        text=True,
        check=True,
    )
    wanted = {"at": "12", "silent": "", "lines": "a\nb"}
    assert facts.answers(done.stdout) == wanted
    assert facts.blocks(done.stdout, "at") == [wanted, wanted]
    assert done.stderr == ""


def test_this_machine_answers_what_devices_are_asked() -> None:
    asking = facts.asking(facts.IDENTITY | facts.LINUX)
    done = subprocess.run(["sh", "-c", asking], capture_output=True, text=True, check=False)
    told = facts.answers(done.stdout)
    assert set(told) == {*facts.IDENTITY, *facts.LINUX}
    assert told["machine"]
    assert facts.system(told).startswith("Linux ")
    assert int(facts.more(told)["page_size"]) >= 4096
    assert facts.processor(told)[1]
    assert facts.state(told)["load"] >= 0  # type: ignore[operator]
