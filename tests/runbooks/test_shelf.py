"""Which runbook belongs to which alert."""

import pytest

from trackside.server.runbooks.chapters import parse_markdown
from trackside.server.runbooks.shelf import Shelf, read_shelf

RUNBOOK = "# Runbook\n\n## High error rate\n\ntext\n\n## Slow response time\n\ntext\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "rules.yml").write_text("groups: []")
    (tmp_path / "RUNBOOK.md").write_text(RUNBOOK)
    (tmp_path / "README.md").write_text("# System\n\n## High error rate\n\nno help\n\n## Only here\n")
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "PoolExhausted.md").write_text("# When the pool is empty\n\ntext\n")
    (tmp_path / "runbooks" / "binary.md").write_bytes(b"\xff\xfe# \x00")
    return tmp_path


@pytest.fixture
def find(folder):
    shelf = read_shelf([str(folder / "rules.yml"), "nowhere/rules.yml"])

    def one(alert: str, **annotations: str):
        found = shelf.find(alert, annotations)
        return None if found is None else (found.file.rpartition("/")[2], found.line, found.url)

    return one


@pytest.mark.parametrize(
    ("alert", "expected"),
    [
        pytest.param("HighErrorRate", ("RUNBOOK.md", 3, ""), id="a chapter, before the README's"),
        pytest.param("slow-response-time", ("RUNBOOK.md", 7, ""), id="however it is written"),
        pytest.param("PoolExhausted", ("PoolExhausted.md", 1, ""), id="a file"),
        pytest.param("OnlyHere", ("README.md", 7, ""), id="only in the README"),
        pytest.param("Unknown", None, id="none"),
    ],
)
def test_by_its_name(find, alert, expected):
    assert find(alert) == expected


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({"runbook_url": "https://wiki/x"}, ("", 0, "https://wiki/x")),
        ({"runbook": "RUNBOOK.md#slow-response-time"}, ("RUNBOOK.md", 7, "")),
        ({"runbook": "runbooks/PoolExhausted.md"}, ("PoolExhausted.md", 1, "")),
        ({"runbook": "Slow response time"}, ("RUNBOOK.md", 7, "")),
        ({"runbook": "nosuch.md", "runbook_url": ""}, ("RUNBOOK.md", 3, "")),
    ],
)
def test_as_its_annotation_says(find, annotations, expected):
    assert find("HighErrorRate", **annotations) == expected


def test_the_whole_file_is_one_runbook_when_it_has_no_headings():
    shelf = Shelf.of([parse_markdown("just text", "Down.md")])
    assert shelf.find("Down", {}).title == "Down"
