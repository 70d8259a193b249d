"""What the device's own sh does: any POSIX shell, with what toybox, busybox and coreutils share."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from edgedistill.devices.remote import facts

_MAKE = """\
umask 077
for place in {places}; do
  case $place in *[!A-Za-z0-9/._-]*) echo "$place: its name is not plain"; continue;; esac
  folder=$place/{name}
  mkdir "$folder" || {{ echo "$place: cannot be written"; continue; }}
  {{ echo "#!$(command -v sh)"; echo 'exit 7'; }} >"$folder/probe"
  chmod 700 "$folder/probe"
  "$folder/probe"; runs=$?
  set -- $(df -Pk "$folder" | tail -n 1)
  rm "$folder/probe"
  if [ $runs -ne 7 ]; then echo "$place: no program may run there"
  elif [ "${{4:-0}}" -lt {least} ]; then echo "$place: only ${{4:-0}} KiB are free"
  else echo "found $folder"; exit 0; fi
  rmdir "$folder"
done 2>/dev/null
exit 1
"""

_REMOVE = """\
cd / || exit 1
for place in {places}; do
  folder=$place/{name}
  [ -d "$folder" ] || continue
  {end}
  rm -rf "$folder" || {{ sleep 1; rm -rf "$folder"; }}
  [ -e "$folder" ] && exit 1
done 2>/dev/null
exit 0
"""

_END_JOB = (
    "read -r shell watch runner <$folder/pids && { kill -9 $shell $watch $runner; "
    "read -r nap <$folder/nap && kill $nap; }"
)
"""Where a job runs in that folder, because the link to it broke."""

_DROP = """\
folder={folder}
{{ {end}
cd $folder && rm -f {files}; }} 2>/dev/null
"""

_JOB = """\
cd {folder} || exit 1
umask 077
export ORT_DISABLE_TELEMETRY=1 TMPDIR={folder}
state() {{
{asking}}} >>{state}
: >{state}
state
{command} </dev/null >{said} 2>&1 &
runner=$!
(
  : &
  trap 'kill -9 $!; wait $!; exit' TERM  # a child that is not yet sleep would lose a TERM
  left={seconds}
  while [ $left -gt 0 ]; do
    step={apart}
    [ $left -lt $step ] && step=$left
    sleep $step &
    echo $! >nap
    wait $!
    : >nap
    left=$((left - step))
    state
  done
  : >late
  kill -9 $runner
) >/dev/null 2>&1 &
watch=$!
echo $$ $watch $runner >pids
wait $runner
code=$?
kill $watch
wait $watch
rm pids
state
[ -e late ] && echo {late}
tail -n 5 {said}
exit $code
"""

SCRIPT, STATE, SAID = "job.sh", "state.txt", "said.txt"
FILES = (SCRIPT, STATE, SAID, "late", "nap", "pids")
"""What a job's script is and leaves, beside the runner's answers."""
LATE = "edgedistill: it took too long"
_APART = 60
"""Seconds between two looks at the device's state while a job runs. They are taken there, since a
connection made from here would disturb more than they do."""


def make(places: Iterable[str], name: str, least: int) -> str:
    """Make the folder `name` in the first place where a program may run and `least` KiB are free;
    print `found PATH`, else a line for each place that would not do."""
    return _MAKE.format(places=_quoted(places), name=name, least=least)


def remove(places: Iterable[str], name: str) -> str:
    """End what still runs in that folder, wherever it lies, and remove it."""
    return _REMOVE.format(places=_quoted(places), name=name, end=_END_JOB)


def room(folder: str, names: Iterable[str]) -> str:
    """Make the folders of these names, and print how many KiB are free."""
    folders = sorted({str(PurePosixPath(name).parent) for name in names} - {"."})
    making = f"mkdir -p {' '.join(map(shlex.quote, folders))}\n" if folders else ""
    return f"cd {folder} || exit 1\n{making}df -Pk . | tail -n 1\n"


def digests(folder: str, names: Iterable[str]) -> str:
    """Print the SHA-256 of each of these, in that order."""
    files = _files(names)
    tools = ("sha256sum", "toybox sha256sum", "busybox sha256sum")
    tries = " ||\n".join(f"{tool} {files} 2>/dev/null" for tool in tools)
    return f"cd {folder} || exit 1\nchmod 700 {files}\n{tries}\n"


def drop(folder: str, names: Iterable[str]) -> str:
    """End what still runs there, and remove these."""
    return _DROP.format(folder=folder, files=_files(names), end=_END_JOB)


def job(folder: str, command: Iterable[str], conditions: Mapping[str, str], seconds: float) -> str:
    """Run a command there with a time limit, looking at the device's state before, after and every
    minute. Its exit code is the command's; it prints the command's last words, after LATE where
    its time was up. Whatever it writes elsewhere would stay: ONNX Runtime's telemetry, which it
    also sends, is off, and folders for what passes are that one."""
    return _JOB.format(
        folder=folder,
        command=shlex.join(command),
        asking=facts.asking({"at": "date +%s", **conditions}),
        state=STATE,
        said=SAID,
        late=shlex.quote(LATE),
        seconds=round(seconds),
        apart=_APART,
    )


def _quoted(places: Iterable[str]) -> str:
    return " ".join(f'"{place}"' for place in places)


def _files(names: Iterable[str]) -> str:
    return " ".join(f"./{shlex.quote(name)}" for name in names)
