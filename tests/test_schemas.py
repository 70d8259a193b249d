from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgedistill.bundle.manifest import FORMAT
from edgedistill.command_line import run
from edgedistill.package.app import FORMAT as APP_FORMAT
from edgedistill.records.report import REPORT_FORMAT
from edgedistill.records.study import STUDY_FORMAT
from edgedistill.schemas import schema_of

FOLDER = Path(__file__).parents[1] / "docs" / "schema"


@pytest.mark.parametrize(
    "document", ["app", "manifest", "recognizer", "report", "recognition", "search"]
)
def test_the_schemas_in_the_docs_are_what_is_read(
    document: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a change: `edgedistill schema manifest > docs/schema/manifest.json`."""
    assert run(["schema", document]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((FOLDER / f"{document}.json").read_text())
    assert printed["version"] == {
        "app": APP_FORMAT,
        "report": REPORT_FORMAT,
        "search": STUDY_FORMAT,
    }.get(document, FORMAT)


def test_every_field_of_a_manifest_of_today_is_in_its_schema() -> None:
    example = json.loads((Path(__file__).parent / "bundle" / "format3.json").read_text())
    assert set(example) <= set(schema_of("manifest")["properties"])
