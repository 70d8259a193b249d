"""What benchmarks of bad input share: a case, how it is run, and the transcript of all.

Every case is a real command in a process of its own, in a folder of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any

import yaml

from benchmarks.common import RESULTS

COMPILE = ("compile", "recipe.yaml", "--target", "android-arm64")


@dataclass(frozen=True)
class Case:
    """`prepare(folder)` fills a folder and returns the recipe, if there is one; then the command
    runs there."""

    title: str
    prepare: Callable[[Path], dict[str, Any] | None]
    command: tuple[str, ...] = COMPILE
    expected: tuple[int, ...] = (2,)
    block: str = ""
    """A package that the process must not find."""
    piped: str = ""
    """A file in the folder that the command reads from standard input."""
    says: tuple[str, ...] = ()
    """What must be in the output."""

    @property
    def work(self) -> Work:
        """What `transcribe` does with it."""
        shown = (*self.command, *(("<", self.piped) if self.piped else ()))
        return Work(self.title, lambda folder: run(self, folder), self.expected, shown, self.says)


@dataclass(frozen=True)
class Work:
    """Something that runs in a folder and gives exit code and text."""

    title: str
    run: Callable[[Path], tuple[int, str]]
    expected: tuple[int, ...]
    command: tuple[str, ...] = COMPILE
    says: tuple[str, ...] = ()


def environment(folder: Path, block: str) -> dict[str, str]:
    """The case's own cache; `block` is hidden from Python's imports and package metadata."""
    here = str(Path(__file__).parents[1])
    found = {**os.environ, "EDGEDISTILL_CACHE": str(folder / "cache"), "COLUMNS": "100"}
    found["PYTHONPATH"] = os.pathsep.join([here, *([str(folder / "hidden")] if block else [])])
    if block:
        (folder / "hidden").mkdir()
        (folder / "hidden" / "sitecustomize.py").write_text(
            "import importlib.metadata as m, sys\n"
            f"sys.modules[{block!r}] = None\n"
            "real = m.version\n"
            "def version(name):\n"
            f"    if name == {block!r}:\n"
            "        raise m.PackageNotFoundError(name)\n"
            "    return real(name)\n"
            "m.version = version\n"
        )
    return found


def run(case: Case, folder: Path) -> tuple[int, str]:
    """Exit code, and what was printed and said."""
    document = case.prepare(folder)
    if document is not None:
        (folder / "recipe.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    done = subprocess.run(
        [sys.executable, "-m", "edgedistill", *case.command], cwd=folder,
        env=environment(folder, case.block), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        input=(folder / case.piped).read_bytes() if case.piped else b"",
    )  # fmt: skip
    return done.returncode, done.stdout.decode()


def forked(case: Case, folder: Path) -> tuple[int, str]:
    """As `run`, in a process that begins where this one is, with what it has imported."""
    if case.block:
        return run(case, folder)
    document = case.prepare(folder)
    if document is not None:
        (folder / "recipe.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    given, write = os.pipe()
    os.write(write, (folder / case.piped).read_bytes() if case.piped else b"")  # a pipe holds 64 KB
    os.close(write)
    with NamedTemporaryFile() as said:
        sys.stdout.flush()
        child = os.fork()
        if not child:
            _command(case, folder, given, said.fileno())
        os.close(given)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status), Path(said.name).read_text()


def _command(case: Case, folder: Path, given: int, said: int) -> None:
    """The command line, which ends the process."""
    from edgedistill.__main__ import main

    for number, held in enumerate((given, said, said)):
        os.dup2(held, number)
    os.chdir(folder)
    os.environ.update(environment(folder, ""))
    code: Any = 70
    try:
        main(case.command)
    except SystemExit as ended:
        code = ended.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def changed(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A recipe with other values; of a nested one the names are joined by two underscores."""
    for key, value in changes.items():
        *parents, last = key.split("__")
        place = document
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return document


def transcribe(name: str, heading: str, works: Sequence[Work]) -> None:
    """Write `results/NAME.md`; SystemExit where a case did not end as it should."""
    lines = [
        f"# {heading}", "",
        f"By `python -m benchmarks.{name}`: real commands, their output and exit code.", "",
    ]  # fmt: skip
    wrong = []
    for work in works:
        with TemporaryDirectory() as folder:
            code, text = work.run(Path(folder))
            text = text.replace(folder, "/tmp/case")
        fine = (
            code in work.expected
            and "Traceback" not in text
            and all(each in text for each in work.says)
        )
        print(f"{'ok' if fine else 'WRONG'}: {work.title}: exit {code}", flush=True)
        if not fine:
            wrong.append(work.title)
            print(text)
        lines += [f"## {work.title}", "", "```console", f"$ edgedistill {' '.join(work.command)}",
                  *text.rstrip().splitlines(), "$ echo $?", str(code), "```", ""]  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text("\n".join(lines))
    if wrong:
        raise SystemExit(f"not as they should be: {', '.join(wrong)}")
