"""What the commands print, where, and with which exit code."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from edgedistill import api
from edgedistill.cache import Cache
from edgedistill.command_line import run
from edgedistill.console import print_rows
from edgedistill.errors import UserError
from edgedistill.recipe import load_recipe
from edgedistill.signature import image_inputs

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEDISTILL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache"


class FakeBundle:
    def __init__(self, ok: bool) -> None:
        self.ok = ok
        self.path = Path("out")
        self.report: dict[str, Any] = {"name": "tiny", "ok": ok}


# --- compile --------------------------------------------------------------------------------


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments that `api.compile` was called with; `ok` and `raises` say what it does."""
    seen: dict[str, Any] = {"ok": True, "raises": None}

    def compile(recipe: Any, target: Any, **rest: Any) -> Any:
        seen.update(recipe=recipe, target=target, **rest)
        if seen["raises"] is not None:
            raise seen["raises"]
        return FakeBundle(seen["ok"]) if isinstance(target, str) else [FakeBundle(seen["ok"])] * 2

    monkeypatch.setattr(api, "compile", compile)

    def summary(report: dict[str, Any], bundle: str) -> None:
        print(f"the summary\nBundle: {bundle}")

    monkeypatch.setattr("edgedistill.cli.print_report", summary)
    return seen


def test_compile_passes_on_what_it_was_given(compiled: dict[str, Any], capsys: Output) -> None:
    line = "compile r.yaml --target web-wasm --out there --set seed=3 --set name=x --cache c"
    assert run(line.split()) == 0
    assert (compiled["recipe"], compiled["target"]) == (Path("r.yaml"), "web-wasm")
    assert (compiled["out"], compiled["set"]) == (Path("there"), ["seed=3", "name=x"])
    assert compiled["cache"] == Path("c")
    assert capsys.readouterr() == ("the summary\nBundle: out\n", "")


def test_compile_without_a_recipe_says_what_it_compiles(
    compiled: dict[str, Any], capsys: Output
) -> None:
    assert run(["compile", "--target", "android-arm64"]) == 0
    assert compiled["recipe"] is None
    said = "no recipe given: compiling the embedded default, handwritten digits\n"
    assert capsys.readouterr().err == said


def test_a_missed_contract_is_exit_code_1(compiled: dict[str, Any]) -> None:
    compiled["ok"] = False
    assert run(["compile", "r.yaml"]) == 1


def test_several_targets_give_several_bundles(compiled: dict[str, Any], capsys: Output) -> None:
    assert run("compile r.yaml -t web-wasm -t ios-arm64 --json".split()) == 0
    assert compiled["target"] == ["web-wasm", "ios-arm64"]
    assert [row["path"] for row in json.loads(capsys.readouterr().out)] == ["out", "out"]


@pytest.mark.parametrize(
    ("error", "first", "second"),
    [
        (UserError("wrong", "do this"), "error: wrong", "hint: do this"),
        (MemoryError(), "error: out of memory (", "hint: free some"),
        (RuntimeError("[...] can't allocate memory: [...]"), "error: out of memory", "hint: "),
        (OSError(errno.ENOSPC, "No space left on device", "/tmp/x"), "error: the disk is full (",
         "hint: make room (`edgedistill cache prune --keep 1GB`); then run the same command"),
    ],
)  # fmt: skip
def test_what_a_user_can_mend_is_exit_code_2_without_traceback(
    compiled: dict[str, Any], capsys: Output, error: Exception, first: str, second: str
) -> None:
    compiled["raises"] = error
    assert run(["compile", "r.yaml"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(first)
    assert lines[1].startswith(second)


def test_a_mistake_of_ours_keeps_its_traceback_and_has_a_code_of_its_own(
    compiled: dict[str, Any], capsys: Output
) -> None:
    compiled["raises"] = ZeroDivisionError("no")
    assert run(["compile", "r.yaml"]) == 70
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert "error: a mistake of edgedistill's own: ZeroDivisionError: no\n" in err


def test_what_moves_a_terminal_is_printed_as_an_escape(
    compiled: dict[str, Any], capsys: Output
) -> None:
    compiled["raises"] = UserError("\x1b[31mred\x07 \u202e", "a\rb\x9b")
    assert run(["compile", "r.yaml"]) == 2
    err = capsys.readouterr().err
    assert err == "error: \\x1b[31mred\\x07 \\u202e\nhint: a\\rb\\x9b\n"
    print_rows([{"class": "\x1b[2Jcat\nfish"}], ["class"], False)
    assert capsys.readouterr().out == "class\n\\x1b[2Jcat\\nfish\n"


def test_an_interrupt_says_how_to_go_on(compiled: dict[str, Any], capsys: Output) -> None:
    compiled["raises"] = KeyboardInterrupt()
    assert run(["compile", "r.yaml"]) == 130
    said = "interrupted; the same command goes on from the last checkpoint\n"
    assert capsys.readouterr().err == said


def started(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        # A shell's background jobs, such as these tests may be, are started deaf to it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


AT_WORK = (
    "import sys, time\nfrom edgedistill import __main__, api\n"
    "def work(*a, **k):\n    print('at work', flush=True)\n    {}\n"
    "api.compile = work\n__main__.main(['compile', 'r.yaml'])"
)


def test_a_real_interrupt_is_exit_code_130() -> None:
    process = started(AT_WORK.format("time.sleep(30)"))
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == "interrupted; the same command goes on from the last checkpoint\n"


def test_a_second_interrupt_ends_what_does_not_listen_to_the_first() -> None:
    deaf = "while True:\n        try: time.sleep(30)\n"
    deaf += "        except KeyboardInterrupt: print('deaf', flush=True)"
    process = started(AT_WORK.format(deaf))
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    assert process.stdout.readline() == "deaf\n"
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == ""


@pytest.mark.parametrize("module", ["typer", "edgedistill.recipe", "torch"])
def test_an_interrupt_while_still_starting_is_told_too(module: str) -> None:
    """As the first of three libraries to be imported is."""
    code = (
        "import sys\n"
        "class Slow:\n"
        "    def find_spec(self, name, *rest):\n"
        f"        if name == {module!r}:\n"
        "            import time\n"
        "            print('at work', flush=True)\n"
        "            time.sleep(30)\n"
        "sys.meta_path.insert(0, Slow())\n"
        "from edgedistill import __main__\n__main__.main(['compile'])"
    )
    process = started(code)
    assert process.stdout is not None
    assert process.stdout.readline() == "at work\n"
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("line", "code", "err"),
    [
        ("targets | true", 141, ""),
        ("targets >&-", 0, ""),
        ("targets 2>&- >/dev/null", 0, ""),
        ("targets none 2>&-", 2, ""),
        ("targets >/dev/full", 2, "error: standard output: no space left on device\n"),
    ],
)
def test_streams_that_are_closed_or_full(line: str, code: int, err: str) -> None:
    # `sleep`: else the pipe may be read by nobody before or after it is written to.
    wait = "sleep 0.3; " if "|" in line else ""
    shell = f"{{ {wait}{sys.executable} -m edgedistill {line.replace('|', '; } |')}"
    shell += "" if "|" in line else "; }"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {shell}"], capture_output=True, text=True,
        cwd=Path(__file__).parents[1],
    )  # fmt: skip
    assert done.returncode == code
    assert done.stderr.startswith(err)
    assert "Traceback" not in done.stderr


# --- what is wrong with what was asked ------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("compile none.yaml", "error: file not found: none.yaml"),
        ("compile --target adnroid-arm64", "error: unknown target `adnroid-arm64`"),
        ("compile --set seed", "error: --set seed: not of the form key=value"),
        ("check --set sed=1", "unknown key `sed`; did you mean `seed`?"),
        ("targets wasm", "error: unknown target `wasm`"),
        ("evaluate nowhere", "error: nowhere: not a bundle"),
        ("benchmark nowhere", "error: not found: nowhere"),
        ("cache prune --keep lots", "error: `lots` is not a size"),
        ("compille", "No such command 'compille'"),
        ("compile --tagret x", "No such option"),
        ("init --data digits", "--teacher: which model answers?"),
    ],
)
def test_a_wrong_request_is_exit_code_2(line: str, message: str, capsys: Output) -> None:
    assert run(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err


# --- the smaller commands -------------------------------------------------------------------


def test_version(capsys: Output) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == "edgedistill 0.1.0\n"


def test_schema_accepts_every_key_it_knows(capsys: Output) -> None:
    assert run(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"data", "teacher", "student", "stages", "contract"} <= set(schema["properties"])


def test_a_shown_target_is_a_valid_target_file(tmp_path: Path, capsys: Output) -> None:
    assert run(["targets", "raspberry-pi-5"]) == 0
    path = tmp_path / "mine.yaml"
    path.write_text(capsys.readouterr().out)
    assert run(["targets", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "raspberry-pi-5"


def test_targets_lists_them(capsys: Output) -> None:
    assert run(["targets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9
    assert lines[1].split()[:2] == ["android-arm64", "litert"]


def test_check_shows_the_plan_and_runs_nothing(own_cache: Path, capsys: Output) -> None:
    assert run(["check", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows][:3] == ["data", "teacher", "teach"]
    assert {row["state"] for row in rows} == {"will run"}
    assert not list((own_cache / "artifacts").iterdir())


def test_the_cache_is_shown_pruned_and_cleared(own_cache: Path, capsys: Output) -> None:
    store = Cache(own_cache)
    for key in ("data-1", "teacher-2"):
        with store.work(key) as scratch:
            (scratch / "x").write_bytes(bytes(2000))
            store.commit(key, key.split("-")[0], {}, {})
    del store  # which keeps what it made
    (own_cache / "costs" / "device.jsonl").write_text('["inference", 1.0]\n')
    assert run(["cache"]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["stage", "data", "teacher", "prices"]
    assert err.startswith("3 entries, ")
    assert run("cache show --json".split()) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3
    assert run("cache prune --keep 3KB".split()) == 0
    assert capsys.readouterr().err.startswith("removed 1 entries, ")
    assert run("cache clear".split()) == 0
    assert not list((own_cache / "artifacts").iterdir())
    assert not list((own_cache / "costs").iterdir())


def test_rows_are_printed_aligned_or_as_json(
    monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    rows = [{"figure": "size", "unit": "KB", "a": 12.3456, "b": None, "where": "file"}]
    monkeypatch.setattr(api, "compare", lambda *args, **rest: rows)
    assert run("compare a b".split()) == 0
    assert (
        capsys.readouterr().out == "figure  unit  a      b  where\nsize    KB    12.35  -  file\n"
    )
    assert run("compare a b --json".split()) == 0
    assert json.loads(capsys.readouterr().out) == rows


# --- init -----------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    from PIL import Image

    for split, count in (("train", 3), ("test", 1)):
        for name in ("cat", "dog"):
            (tmp_path / "pets" / split / name).mkdir(parents=True)
            for number in range(count):
                pixels = np.full((24, 24, 3), number, np.uint8)
                Image.fromarray(pixels).save(tmp_path / f"pets/{split}/{name}/{number}.png")
    return tmp_path / "pets"


def init(*words: str) -> tuple[int, Path]:
    return run(["init", *words, "--out", "sub/r.yaml"]), Path("sub/r.yaml")


def test_init_writes_a_recipe_that_loads(pictures: Path, capsys: Output) -> None:
    code, path = init("--teacher", "torchvision:resnet18", "--data", "pets")
    assert code == 0
    recipe = load_recipe(path)
    assert recipe.name == "pets"
    assert recipe.data.source == "folder"
    assert recipe.data.train == pictures.parent / "sub" / ".." / "pets" / "train"
    assert (recipe.data.image_size, recipe.data.channels) == ((24, 24), 3)
    assert recipe.stages.teacher.train is not None
    text = path.read_text()
    assert "# 6 images of 2 classes (cat, dog), color, 24x24." in text
    assert capsys.readouterr().err == (
        "student: resnet_cifar:20, suggested for 6 color images of 24 pixels; --student names "
        "another\n"
        "wrote sub/r.yaml; next: edgedistill check sub/r.yaml --target android-arm64\n"
    )


def test_init_never_overwrites(pictures: Path, capsys: Output) -> None:
    Path("sub").mkdir()
    Path("sub/r.yaml").write_text("mine")
    code, path = init("--teacher", "timm:resnet18", "--data", "pets")
    assert code == 2
    assert path.read_text() == "mine"
    assert "sub/r.yaml exists already; it was left alone" in capsys.readouterr().err


def test_init_reads_the_network_out_of_its_weights(tmp_path: Path, capsys: Output) -> None:
    from safetensors.torch import save_file

    from edgedistill.models import build
    from edgedistill.recipe import ResidualModel

    model = ResidualModel(family="resnet_cifar", depth=14, widths=(4, 8, 12), shortcut="conv")
    save_file(build(model, 10, image_inputs(1, 16, 16)).state_dict(), tmp_path / "net.safetensors")
    code, path = init("--teacher", "net.safetensors", "--data", "digits")
    assert code == 0
    teacher = load_recipe(path).teacher
    assert teacher.model_copy(update={"weights": None}) == model
    save_file(build(model, 7, image_inputs(1, 16, 16)).state_dict(), tmp_path / "seven.safetensors")
    assert run("init --teacher seven.safetensors --data digits --out s.yaml".split()) == 0
    assert "the body is kept, `linear` is new" in capsys.readouterr().err
    assert load_recipe(Path("s.yaml")).stages.teacher.train is not None


def test_init_finds_the_columns_of_parquet_files(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet
    from PIL import Image

    (tmp_path / "table").mkdir()
    Image.fromarray(np.zeros((12, 12), np.uint8)).save("x.png")
    picture = {"bytes": Path("x.png").read_bytes(), "path": "x.png"}
    for split in ("train", "test"):
        table = pyarrow.table({"id": [1, 2], "photo": [picture] * 2, "label": [0, 1]})
        pyarrow.parquet.write_table(table, tmp_path / "table" / f"{split}-00000.parquet")
    code, path = init("--teacher", "resnet_cifar:20", "--data", "table")
    assert code == 0
    data = yaml.safe_load(path.read_text())["data"]
    assert (data["source"], data["image"], data["label"]) == ("parquet", "photo", "label")
    assert (data["image_size"], data["channels"]) == (12, 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--teacher net.pt --data digits", "net.pt is a pickle, which can run any code"),
        ("--teacher resnet --data digits", "--teacher resnet: not a model"),
        ("--teacher a:b --data nowhere", "--data nowhere: not found"),
        ("--teacher a:b --data empty", "has no class folders"),
        ("--teacher a:b --data digits --target x", "unknown target `x`"),
    ],
)
def test_init_says_what_it_cannot_make_out(words: str, message: str, capsys: Output) -> None:
    Path("empty").mkdir()
    code, path = init(*words.split())
    assert code == 2
    assert message in capsys.readouterr().err
    assert not path.exists()


# --- teach, audit, drift --------------------------------------------------------------------


def test_teach_asks_keeps_and_exports(tmp_path: Path, capsys: Output) -> None:
    import pyarrow.parquet

    export = tmp_path / "answers.parquet"
    line = ["teach", "--set", "data.limit=100", "--set", "stages.teacher.train.epochs=1",
            "--set", "stages.teach.views=2"]  # fmt: skip
    assert run([*line, "--export", str(export)]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[1].split() == ["answers", "180"]
    assert printed.err.endswith(f"wrote {export}\n")
    table = pyarrow.parquet.read_table(export)
    assert table.column_names == ["sample", "view", "label", "logits"]
    assert table.num_rows == 190, "to validation images too"
    assert run([*line, "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["answers"] == 180

    # What was exported is a teacher itself.
    stored = ["--set", f"teacher={{family: stored, path: {export}}}", "--set",
              "stages.teacher.train=null", "--set", "data.limit=100"]  # fmt: skip
    assert run(["teach", *stored, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["training_quality"] == [again["training_quality"][0]] * 4


@pytest.mark.parametrize("place", ["file/bundle", "file"])
def test_a_place_that_cannot_be_written_is_told_before_anything_is_done(
    tmp_path: Path, capsys: Output, place: str
) -> None:
    (tmp_path / "file").write_text("here")
    assert run(["compile", "--target", "linux-x64", "--out", str(tmp_path / place)]) == 2
    assert str(tmp_path / "file") in capsys.readouterr().err
    assert run(["cache", "show", "--cache", str(tmp_path / "file")]) == 2
    assert "choose another place" in capsys.readouterr().err


def test_teach_looks_for_the_export_s_folder_before_it_asks(tmp_path: Path, capsys: Output) -> None:
    assert run(["teach", "--export", str(tmp_path / "none" / "answers.parquet")]) == 2
    assert "its folder is not there" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_teach_wants_a_loss_that_learns_from_answers(capsys: Output) -> None:
    labels = "[{kind: labels}]"
    line = ["teach"]
    for stage in ("distill", "prune", "quantize"):
        line += ["--set", f"stages.{stage}.losses={labels}"]
    assert run(line) == 2
    assert "no loss of this recipe learns from the teacher's answers" in capsys.readouterr().err


def test_audit_prints_tables(monkeypatch: pytest.MonkeyPatch, capsys: Output) -> None:
    from edgedistill.records import as_json
    from edgedistill.tasks.audit import audit

    random = np.random.default_rng(0)
    labels = np.arange(60) % 2
    logits = random.normal(size=(60, 2)).astype(np.float32)
    told = as_json(audit(logits, logits + 0.1, labels, ["cat", "dog"], [5, 9]))
    found = {"file": "a.tflite", "images": 60, "order": ["shipped"], "students": {"shipped": told},
             "left_out": 0, "notes": []}  # fmt: skip
    monkeypatch.setattr(api, "audit", lambda bundle, data: found)
    assert run(["audit", "bundle"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("a.tflite, 60 samples\n\nStudents, and the file that ships\n")
    assert "teacher's errors copied %" in printed
    assert run(["audit", "bundle", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 60


@pytest.mark.parametrize(("verdict", "code"), [("stable", 0), ("shifted", 0), ("drifted", 1)])
def test_drift_says_its_verdict_and_drifted_is_exit_code_1(
    verdict: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: Output
) -> None:
    found = {"verdict": verdict, "note": f"{verdict}: a sentence."}
    monkeypatch.setattr(api, "drift", lambda bundle, data, counters: found)
    assert run(["drift", "bundle", "--data", "folder"]) == code
    assert capsys.readouterr().out == f"{verdict}: a sentence.\n"
