"""Android's own adbd on this machine, in namespaces of its own: a phone without a phone.

It sees a root of its own with a disk of its own, and those tools of Android that a device is asked
for, with a real phone's words. adbd and adb's server have a network of their own, which nothing
reaches from outside. Where an arm64 phone is wanted, the kernel starts its programs with QEMU.

adbd is in no package of Debian 12. `python tests/devices/phone.py` gets Debian 13's and unpacks it,
with its libraries and its own loader, into the private folder; nothing is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from far_end import has

from edgedistill.devices import private
from edgedistill.scratch import scratch_folder

PACKAGES = (
    "adbd", "android-libbase", "android-libboringssl", "android-libcutils", "android-liblog",
    "libbrotli1", "libbsd0", "libc6", "libcap2", "libgcc-s1", "liblz4-1", "libmd0",
    "libprotobuf32t64", "libstdc++6", "libsystemd0", "libxxhash0", "libzstd1", "zlib1g",
)  # fmt: skip
RELEASE = "trixie"
CONFIG = """\
#clear APT::Update;
APT::Sandbox::User "root";
Acquire::Languages "none";
Dir::State "{folder}";
Dir::State::lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "-";
"""
NAMESPACES = ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork"]
SERIAL = "127.0.0.1:5555"
DISK_MB = 96

# One line of standard input is one order; where that ends, all of it ends.
INIT = """\
set -e
ip link set lo up
python3 -c '{hold_vsock}' >{folder}/held &
until [ -s {folder}/held ]; do sleep 0.1; done
root={folder}/root
mkdir -p $root
mount -t tmpfs -o size={disk}m tmpfs $root
cd $root
mkdir -p adbd data/local/tmp dev etc proc qemu system/bin tmp usr
cp /etc/passwd etc
mount --bind {adbd} adbd
mount --rbind /usr usr
mount --rbind /dev dev
mount -t proc proc proc
ln -s usr/bin bin; ln -s usr/lib lib; ln -s usr/lib64 lib64
cp {folder}/tools/* system/bin
{arm64}
adb -L tcp:5037 nodaemon server >{folder}/server.log 2>&1 &
libraries=/adbd/usr/lib/x86_64-linux-gnu
while read -r order; do
  case $order in
  start)
    chroot $root /usr/bin/env -i PATH=/system/bin:/usr/bin:/bin {environment} \\
      $libraries/ld-linux-x86-64.so.2 --library-path $libraries:$libraries/android \\
      /adbd/usr/lib/android-sdk/platform-tools/adbd >>{folder}/adbd.log 2>&1 &
    adbd=$!;;
  kill) kill -9 $adbd; wait $adbd || true;;
  esac
done
"""
# adbd would also listen to a host of virtual machines; a port that is bound, and not listened on,
# reaches nobody.
HOLD_VSOCK = """
import socket, time
held = socket.socket(socket.AF_VSOCK)
while True:
    try:
        held.bind((socket.VMADDR_CID_ANY, 5555))
    except OSError:  # by another phone, or by this one
        pass
    print("held", flush=True)
    time.sleep(0.2)
"""
# Magic and mask of arm64 programs, from QEMU's own list.
BINFMT = r"""
mount -t binfmt_misc none proc/sys/fs/binfmt_misc
elf='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
printf '%s' ":arm64:M::$elf:$mask:{qemu}:" >proc/sys/fs/binfmt_misc/register
"""
ARM64 = f"""
mount --bind {{folder}}/cpuinfo proc/cpuinfo
mount --bind {{folder}}/qemu qemu
{BINFMT}
"""


def missing() -> str:
    """What of all that it needs is not here, "" where it is."""
    if shutil.which("adb") is None:
        return "adb is not here: apt-get install adb"
    if not _adbd_folder().is_dir():
        return "adbd is not here: python tests/devices/phone.py"
    if not has([*NAMESPACES, "true"]):
        return "this user may make no namespaces"
    return ""


def _adbd_folder() -> Path:
    return private.folder() / "adbd"


class Phone:
    """An adbd, with the disk and the tools of a phone."""

    def __init__(self, folder: Path, tools: dict[str, str], cpu: str = "") -> None:
        """tools: scripts for /system/bin. cpu: one of the emulator's, for an arm64 phone."""
        self.folder = folder
        self._write_tools(tools)
        arm64 = self._arm64(cpu) if cpu else ""
        script = INIT.format(
            folder=folder,
            adbd=_adbd_folder(),
            disk=DISK_MB,
            arm64=arm64,
            environment=f"QEMU_LD_PREFIX=/qemu QEMU_CPU={_qemu(cpu)}" if cpu else "",
            hold_vsock=HOLD_VSOCK,
        )
        (folder / "init.sh").write_text(script)
        self._process = subprocess.Popen(
            [*NAMESPACES, "--kill-child", "bash", str(folder / "init.sh")],
            stdin=subprocess.PIPE,
            stdout=(folder / "init.log").open("w"),
            stderr=subprocess.STDOUT,
            env={**os.environ, "HOME": str(folder)},
        )
        try:
            self._pid = self._first_child()
            self._client = shutil.which("adb")
            self._wait_for_server()
            self.start()
            self.connect()
        except BaseException:
            self.end()
            raise

    def _write_tools(self, tools: dict[str, str]) -> None:
        (self.folder / "tools").mkdir()
        for name, script in tools.items():
            path = self.folder / "tools" / name
            path.write_text(f"#!/bin/sh\n{script}\n")
            path.chmod(0o755)

    def _arm64(self, cpu: str) -> str:
        from edgedistill.devices.emulator.cpus import CPUS, write_root

        write_root(CPUS[cpu], self.folder / "qemu")
        (self.folder / "cpuinfo").write_text(CPUS[cpu].cpuinfo)
        return ARM64.format(folder=self.folder, qemu=shutil.which("qemu-aarch64"))

    def _first_child(self) -> str:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        for _ in range(100):
            if children.read_text().strip():
                return children.read_text().split()[0]
            time.sleep(0.05)
        raise AssertionError((self.folder / "init.log").read_text())

    def _wait_for_server(self) -> None:
        """A client that found none would start one, outside."""
        for _ in range(200):
            if f":{5037:04X} 00000000:0000 0A" in Path(f"/proc/{self._pid}/net/tcp").read_text():
                return
            time.sleep(0.05)
        raise AssertionError((self.folder / "init.log").read_text())

    def client(self, path: Path) -> None:
        """Write an `adb` that reaches this phone alone."""
        enter = f"nsenter -t {self._pid} -U -n --preserve-credentials"
        path.write_text(f'#!/bin/sh\nHOME={self.folder} exec {enter} {self._client} "$@"\n')
        path.chmod(0o755)

    @property
    def there(self) -> Path:
        """Where its disk lies, by which the processes on it are known here."""
        return self.folder / "root" / "data"

    @property
    def disk(self) -> Path:
        """Its /data/local/tmp, seen from here."""
        return Path(f"/proc/{self._pid}/root{self.folder}/root/data/local/tmp")

    def start(self) -> None:
        """Start adbd."""
        self._order("start")

    def pull_the_cable(self) -> None:
        """End adbd at once; what it started stays."""
        self._order("kill")

    def _order(self, order: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{order}\n".encode())
        self._process.stdin.flush()

    def connect(self) -> None:
        """Let adb's server find it (again)."""
        adb = self.folder / "adb"
        self.client(adb)
        state = [adb, "-s", SERIAL, "get-state"]
        done = None
        for _ in range(100):
            for order in ("disconnect", "connect"):
                command = [adb, order, SERIAL]
                subprocess.run(command, capture_output=True, timeout=20, check=False)
            done = subprocess.run(state, capture_output=True, text=True, timeout=20, check=False)
            if done.stdout.strip() == "device":
                return
            time.sleep(0.1)
        logs = [path.read_text() for path in self.folder.glob("*.log")]
        raise AssertionError(f"{done} {logs}")

    def end(self) -> None:
        """End all of it."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(20)


def _qemu(cpu: str) -> str:
    from edgedistill.devices.emulator.cpus import CPUS

    return CPUS[cpu].qemu


def get(into: Path) -> None:
    """Download the packages from where this machine has its own, and unpack them. apt works on a
    state in a folder of its own."""
    with scratch_folder() as scratch:
        for name in ("lists/partial", "cache/archives/partial", "packages", "root"):
            (scratch / name).mkdir(parents=True)
        (scratch / "status").touch()
        keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
        source = f"deb [signed-by={keys}] {_debian()} {RELEASE} main\n"
        (scratch / "sources.list").write_text(source)
        (scratch / "apt.conf").write_text(CONFIG.format(folder=scratch))
        apt = ["apt-get", "-c", str(scratch / "apt.conf"), "--quiet"]
        subprocess.run([*apt, "update"], check=True)
        subprocess.run([*apt, "download", *PACKAGES], check=True, cwd=scratch / "packages")
        for archive in (scratch / "packages").glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", archive, scratch / "root"], check=True)
        into.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(scratch / "root", into, symlinks=True)


def _debian() -> str:
    """Where this machine has Debian's own packages from."""
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN) $(RELEASE) $(REPO_URI)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = sorted({line for line in told.stdout.splitlines() if line.startswith("Debian ")})
    return next(line.split()[2] for line in lines if "-" not in line.split()[1])


if __name__ == "__main__":
    get(_adbd_folder())
