"""A user's function that builds a model may do anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgedistill.errors import UserError
from edgedistill.models.function import make
from edgedistill.recipe import FunctionModel
from edgedistill.signature import image_inputs


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise KeyError('x')", "function: `odd_net:net` failed in odd_net.py line 2: KeyError"),
        ("import sys; sys.exit(0)", "failed in odd_net.py line 2: SystemExit: 0"),
        ("return int([])", "failed in odd_net.py line 2: TypeError: "),
        ("return net(classes)", "failed in odd_net.py line 2: RecursionError: "),
        ("return None", "gave a NoneType, not a torch module"),
    ],
)
def test_a_function_that_builds_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, message: str
) -> None:
    (tmp_path / "odd_net.py").write_text(f"def net(classes):\n    {body}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "odd_net", raising=False)
    with pytest.raises(UserError) as caught:
        make(FunctionModel(family="function", function="odd_net:net"), 2, image_inputs(3, 8, 8))
    assert message in caught.value.message
    assert caught.value.hint
