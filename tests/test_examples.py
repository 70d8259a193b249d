"""Every example is a recipe that loads, and its own models build."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edgedistill.cache import Cache
from edgedistill.pipeline import run_until
from edgedistill.recipe import load_recipe
from edgedistill.signature import image_inputs
from edgedistill.target import load_target

pytestmark = pytest.mark.usefixtures("quickly")
EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.yaml"))


class Silent:
    def say(self, text: str) -> None:
        pass

    def tick(self, label: str, done: float, total: float, note: str = "") -> None:
        pass


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_loads(path: Path) -> None:
    assert load_recipe(path).name


def test_the_embedded_default_is_the_digits_example() -> None:
    from edgedistill.api import default_recipe, read_recipe

    assert default_recipe() in EXAMPLES
    recipe = read_recipe(None)
    assert (recipe.name, recipe.data.source) == ("digits", "digits")
    assert getattr(recipe.teacher, "weights", None) is None
    assert recipe.stages.prune is not None
    assert recipe.stages.quantize is not None


def test_the_own_model_example_builds_and_prunes() -> None:
    import torch

    from edgedistill.models import build, count
    from edgedistill.models.pruned import dependency_graph

    path = Path(__file__).parents[1] / "examples" / "own_model.yaml"
    module = build(load_recipe(path).student, 10, image_inputs(1, 16, 16))
    macs, parameters = count(module, image_inputs(1, 16, 16))
    assert macs < 1
    assert parameters < 3
    assert dependency_graph(module, torch.zeros(1, 1, 16, 16)) is not None


WAYS = [path for path in EXAMPLES if path.stem.startswith("digits_")]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """Shared: the examples have the same data, and some the same teacher."""
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("path", WAYS, ids=lambda path: path.stem)
def test_every_way_of_distilling_runs(path: Path, cache: Cache) -> None:
    quick = (
        "data.limit=200", "stages.teacher.train.epochs=1", "stages.teach.views=1",
        "stages.distill.epochs=1",
    )  # fmt: skip
    made = run_until(load_recipe(path, quick), load_target("android-arm64"), cache, Silent(),
                     "distill")  # fmt: skip
    assert made["distill"].metrics["samples_seen"] > 0


QUICK = (
    "data.limit=200", "stages.teach.views=1", "stages.distill.epochs=1", "stages.quantize=null",
    "stages.export.precisions=[fp32]",
)  # fmt: skip
EXTRA = {"keras": "tensorflow", "huggingface": "transformers"}


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, in which teachers may be made."""
    folder = tmp_path_factory.mktemp("copied") / "examples"
    shutil.copytree(EXAMPLES[0].parent, folder, ignore=shutil.ignore_patterns("made"))
    return folder


def learned(recipe: Path, cache: Cache, *more: str) -> None:
    """A student has learned from the recipe's teacher, which knows what it is asked."""
    made = run_until(load_recipe(recipe, (*QUICK, *more)), load_target("android-arm64"), cache,
                     Silent(), "distill")  # fmt: skip
    assert made["teacher"].metrics["validation_quality"] > 90
    assert made["distill"].metrics["samples_seen"] > 0


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("stored", ["stored"]),
        pytest.param("onnx", ["onnx"], marks=pytest.mark.slow),
        pytest.param("tflite", ["tflite"], marks=pytest.mark.slow),
        pytest.param("keras", ["keras"], marks=pytest.mark.slow),
        pytest.param("huggingface", ["huggingface"], marks=pytest.mark.slow),
        pytest.param("ensemble", ["onnx", "tflite"], marks=pytest.mark.slow),
    ],
)
def test_every_kind_of_teacher_is_learned_from(
    kind: str, made: list[str], examples: Path, cache: Cache
) -> None:
    pytest.importorskip(EXTRA.get(kind, "torch"))
    missing = [each for each in made if not list((examples / "made").glob(f"*.{each}"))]
    words = [sys.executable, str(examples / "make_teachers.py"), *missing]
    if missing:
        subprocess.run(words, check=True, capture_output=True)
    learned(examples / f"teacher_{kind}.yaml", cache)


def test_an_endpoint_is_learned_from(
    examples: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    words = [sys.executable, str(examples / "serve_teacher.py"), "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().split()[-1]
        try:
            url = f"teacher.url=http://127.0.0.1:{port}/classify"
            learned(examples / "teacher_http.yaml", cache, url)
        finally:
            server.terminate()


def test_the_reader_of_strips_runs() -> None:
    script = Path(__file__).parents[1] / "examples" / "read_strips.py"
    done = subprocess.run(
        [sys.executable, str(script), "--steps", "2", "--strips", "60"], check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    told = done.stdout.splitlines()
    assert [line.split(":")[0] for line in told] == [
        "teacher", "student, a tenth of the labels", "student, sequence level",
        "student, token level",
    ]  # fmt: skip
