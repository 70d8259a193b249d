"""How often a compile reaches for the network, which it should only do where the recipe asks.

    python -m benchmarks.connects    (needs `pip install -e '.[huggingface,tensorflow,timm]'`)

compiles the default recipe, and the digits with each teacher that needs no network, with every
connect that any of their processes makes counted by the kernel (seccomp's user notification; Linux
5.5 or later, x86-64 or aarch64). A lookup of a name counts: it connects to a name server.
"""

from __future__ import annotations

import ctypes
import os
import platform
import select
import socket
import struct
import subprocess
import sys
import threading
from fcntl import ioctl
from pathlib import Path
from typing import Any

_SYSTEM = {
    "x86_64": (0xC000003E, 317, {42: 1, 44: 4}),
    "aarch64": (0xC00000B7, 277, {203: 1, 206: 4}),
}
"""The kernel's name of the architecture, the number of seccomp, and those of connect and sendto
with the place of the address among their arguments."""
_RECEIVE, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1
_NEW_LISTENER = 8
_NOTIFY, _ALLOW = 0x7FC00000, 0x7FFF0000
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_NO_NEW_PRIVILEGES = 38


def can_count() -> bool:
    """Whether this system lets connects be counted."""
    try:
        return counted([sys.executable, "-c", ""]) == ([], 0)
    except OSError:
        return False


def counted(command: list[str], **options: Any) -> tuple[list[str], int]:
    """Run a command: the addresses that it and its children connect to, in order, and its exit
    code.

    options: as for `subprocess.Popen`. Raises OSError: connects cannot be counted here.
    """
    ours, theirs = socket.socketpair()
    watched = [sys.executable, __file__, str(theirs.fileno()), *command]
    process = subprocess.Popen(watched, pass_fds=[theirs.fileno()], **options)
    theirs.close()
    _, listeners, _, _ = socket.recv_fds(ours, 1, 1)
    ours.close()
    if not listeners:
        process.wait()
        raise OSError("this system does not let connects be counted")
    found: list[str] = []
    watcher = threading.Thread(target=_watch, args=(listeners, found), daemon=True)
    watcher.start()
    code = process.wait()
    watcher.join(10)
    return found, code


def _watch(listeners: list[int], found: list[str]) -> None:
    """Let every call through, and keep where it goes, until no process is left."""
    (listener,) = listeners
    wait = select.poll()
    wait.register(listener, select.POLLIN)
    while not wait.poll()[0][1] & select.POLLHUP:
        call = bytearray(80)
        try:
            ioctl(listener, _RECEIVE, call)
        except OSError:
            continue  # the process that called is gone
        number, pid = struct.unpack_from("=QI", call)
        (which,) = struct.unpack_from("=i", call, 16)
        place = _SYSTEM[platform.machine()][2][which]
        (address,) = struct.unpack_from("=Q", call, 32 + 8 * place)
        found += _told(pid, address)
        answer = bytearray(struct.pack("=QqiI", number, 0, 0, _CONTINUE))
        try:
            ioctl(listener, _SEND, answer)
        except OSError:
            continue


def _told(pid: int, address: int) -> list[str]:
    """The internet address at a place in a process's memory; nothing for another family."""
    if not address:
        return []
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        memory.seek(address)
        content = memory.read(28)
    (family,) = struct.unpack_from("=H", content)
    (port,) = struct.unpack_from("!H", content, 2)
    if family == socket.AF_INET:
        return [f"{socket.inet_ntop(family, content[4:8])}:{port}"]
    if family == socket.AF_INET6:
        return [f"[{socket.inet_ntop(family, content[8:24])}]:{port}"]
    return []


def _run_watched(channel: int, command: list[str]) -> None:
    """Have connects of this process and its children notified to whoever holds the other end of
    `channel`, then become the command."""
    libc = ctypes.CDLL(None, use_errno=True)
    architecture, seccomp, calls = _SYSTEM[platform.machine()]
    rows = [(_LOAD, 0, 0, 4), (_JUMP_IF_EQUAL, 0, len(calls) + 1, architecture), (_LOAD, 0, 0, 0)]
    rows += [(_JUMP_IF_EQUAL, len(calls) - at, 0, call) for at, call in enumerate(calls)]
    rows += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _NOTIFY)]
    program = b"".join(struct.pack("=HBBI", *row) for row in rows)
    held = ctypes.create_string_buffer(program)
    described = ctypes.create_string_buffer(struct.pack("HL", len(rows), ctypes.addressof(held)))
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    listener = libc.syscall(seccomp, 1, _NEW_LISTENER, described)
    with socket.socket(fileno=channel) as out:
        if listener < 0:
            out.send(b"x")
            sys.exit(1)
        socket.send_fds(out, [b"x"], [listener])
    os.close(listener)
    os.execvp(command[0], command)


def main() -> None:
    import tempfile

    from benchmarks.common import write
    from benchmarks.tiny_teachers import TEACHERS

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        rows = [row("the default compile", [], folder)]
        for name, make in TEACHERS.items():
            rows.append(row(f"teacher: {name}", make(folder), folder))
    write("connects", rows, seeds=[0], switched_off_by="edgedistill/__init__.py")


def row(name: str, recipe: list[str], folder: Path) -> dict[str, object]:
    """A compile in an empty home, as on a machine that is no CI's."""
    home = folder / f"home {name}"
    home.mkdir()
    line = [sys.executable, "-m", "edgedistill", "compile", *recipe, "--out", str(home / "bundle")]
    found, code = counted(line, env=environment(home), cwd=folder)
    print(f"{name}: {len(found)} connects, exit code {code}", *found, flush=True)
    assert code in (0, 1), "1: an untrained teacher's student misses the contract"
    left = sorted(each.name for each in (home / ".cache").iterdir())
    return {"name": name, "connects": len(found), "to": found, "left_in_user_cache": left}


def environment(home: Path) -> dict[str, str]:
    """This one, but at a new user's who has set nothing."""
    keep = ("PATH", "LANG", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "PYTHONPATH")
    kept = {name: os.environ[name] for name in keep if name in os.environ}
    return {**kept, "HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[1])}


if __name__ == "__main__":
    if len(sys.argv) > 2:
        _run_watched(int(sys.argv[1]), sys.argv[2:])
    main()
