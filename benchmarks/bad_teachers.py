"""What a user gets to read where a teacher, its answers or the way to learn from them is at fault.

As `benchmarks.bad_input`, with endpoints on this machine that are late, overloaded, or lie.

    python -m benchmarks.bad_teachers        (writes benchmarks/results/bad_teachers.md)
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.bad_input import with_images
from benchmarks.transcript import Case, Work, run, transcribe

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "distill" / "teachers"))

from loopback import Endpoint, Reply, serve


def answering(body: str, **changes: Any) -> Callable[[Path], tuple[int, str]]:
    """A Python function as teacher; `images` is what it is asked about."""

    def case(folder: Path) -> tuple[int, str]:
        (folder / "mine.py").write_text(
            f"import numpy as np\n\n\ndef answer(images):\n    {body}\n"
        )
        teacher = {"family": "python", "function": "mine:answer"}
        return run(Case("", lambda f: with_images(f, teacher=teacher, **UNTRAINED, **changes)),
                   folder)  # fmt: skip

    return case


def replying(reply: Reply, first: int = 3, **settings: Any) -> Callable[[Path], tuple[int, str]]:
    """An endpoint that gives `reply` from request number `first` on."""

    def case(folder: Path) -> tuple[int, str]:
        with serve(fair, lambda asked: reply if asked.number >= first else Reply()) as endpoint:
            return asked_of(endpoint, folder, **settings)

    return case


def fair(image: Any) -> list[float]:
    return [0.5, 0.5]


def asked_of(endpoint: Endpoint, folder: Path, **settings: Any) -> tuple[int, str]:
    teacher = {"family": "http", "url": endpoint.url, "retries": 1, "concurrency": 1, **settings}
    code, text = run(Case("", lambda f: with_images(f, teacher=teacher, **UNTRAINED)), folder)
    return code, text.replace(str(endpoint.server_port), "8080")


UNTRAINED = {"stages__teacher": {}}


def says(document: Any, **settings: Any) -> Callable[[Path], tuple[int, str]]:
    return replying(Reply(body=json.dumps(document).encode()), **settings)


def other_store(folder: Path) -> tuple[int, str]:
    """The kept answers of one endpoint, in the place of another's."""
    with serve(fair) as endpoint:
        asked_of(endpoint, folder)
        for path in (folder / "cache" / "answers").glob("*/store.json"):
            head = json.loads(path.read_text())
            head["made_by"]["teacher"] = "another"
            path.write_text(json.dumps(head))
        for path in (folder / "cache" / "artifacts").glob("teach*"):
            path.rename(folder / path.name)
        (folder / "images").rename(folder / "before")
        return asked_of(endpoint, folder)


def learning(**changes: Any) -> Callable[[Path], tuple[int, str]]:
    return lambda folder: run(Case("", lambda f: with_images(f, **changes)), folder)


def losses(*each: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"stages__distill": {"epochs": 1, "batch_size": 8, "losses": list(each), **more}}


def other_peer(folder: Path) -> tuple[int, str]:
    (folder / "mine.py").write_text(
        "from torch import nn\n\n\n"
        "def peer(classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(192, 7))\n"
    )
    peers = [{"family": "function", "function": "mine:peer"}]
    wanted = losses({"kind": "peers"}, {"kind": "labels"}, peers=peers)
    return learning(**wanted)(folder)


def hints(student: str, teacher: str) -> dict[str, Any]:
    return losses({"kind": "hints", "layers": [{"student": student, "teacher": teacher}]})


def five_axes(folder: Path) -> tuple[int, str]:
    (folder / "mine.py").write_text(
        "from torch import nn\n\n\n"
        "def student(classes):\n"
        "    return nn.Sequential(\n"
        "        nn.Conv2d(3, 8, 3, padding=1), nn.Unflatten(1, (2, 4)), nn.Flatten(),\n"
        "        nn.Linear(512, classes),\n"
        "    )\n"
    )
    student = {"family": "function", "function": "mine:student"}
    return learning(student=student, **hints("1", "layer1"))(folder)


CASES = {
    "A teacher of five classes where the data has two": answering(
        "return np.zeros((len(images), 5))"
    ),
    "Answers that are no numbers": answering(
        "return np.where(images.mean((1, 2, 3))[:, None] > 130, np.nan, [[1.0, 0.0]])"
    ),
    "An endpoint that is late": replying(Reply(late=1.0), timeout=0.2),
    "An endpoint that always has too many requests": replying(
        Reply(429, headers={"Retry-After": "0"})
    ),
    "An endpoint that fails": replying(Reply(500)),
    "An endpoint that refuses": replying(Reply(403)),
    "An endpoint whose answer is no JSON": replying(Reply(body=b"<html>ok</html>")),
    "Probabilities that do not sum to one": says([0.5, 0.2]),
    "A label outside the classes": says("horse", first=0, answer="label"),
    "Answers in another place of the response": says({"predictions": [[0.5, 0.5]]}),
    "Too small a budget of requests": replying(Reply(), max_requests=10),
    "A store of another teacher's answers": other_store,
    "A layer that does not exist": learning(**hints("layer9", "layer3")),
    "A layer that cannot be projected": five_axes,
    "Peers that nobody listens to": learning(
        **losses({"kind": "labels"}, peers=[{"family": "resnet_cifar", "depth": 8}])
    ),
    "A peer of another task": other_peer,
    "Inner layers of a teacher that has none to show": answering(
        "return np.zeros((len(images), 2))", **hints("layer1", "layer1")
    ),
    "A loss that does not go with the task": learning(
        task="regression", **losses({"kind": "decoupled"})
    ),
}


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    work = [Work(title, case, (2,)) for title, case in CASES.items()]
    transcribe("bad_teachers", "What a bad teacher gets to read", work)


if __name__ == "__main__":
    main()
