"""arm64 processors, emulated by QEMU: what an inference costs there in instructions, and whether it
gives the same numbers."""

from edgedistill.devices.emulator.device import Emulator, examine, open_device
from edgedistill.devices.emulator.setup import setup

__all__ = ["Emulator", "examine", "open_device", "setup"]
