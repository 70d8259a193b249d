"""`python -m NAME selftest`, and the model from a command line."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import Any

from . import Classifier, SelfTestFailed, open


def main(arguments: list[str] | None = None) -> int:
    """0; 1 the self-test failed."""
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}")
    parser.add_argument("what", choices=("selftest", "ask"))
    parser.add_argument("files", nargs="*", help="`ask`: pictures or WAV files of the model's rate")
    asked = parser.parse_args(arguments)
    model = open()
    if asked.what == "selftest":
        return _self_test(model)
    for name in asked.files:
        answer = model.classify(name) if isinstance(model, Classifier) else model.transcribe(name)
        print(name, asdict(answer))
    return 0


def _self_test(model: Any) -> int:
    try:
        found = model.self_test()
    except SelfTestFailed as error:
        print(f"self-test failed: {error}", file=sys.stderr)
        return 1
    told = "every value equal" if found.equal else f"worst difference {found.worst:g}"
    if found.tokens is not None:
        told = f"{found.worst:g} edits of {found.tokens} tokens, {found.tolerance:g} may be"
    print(f"self-test passed: {told}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
