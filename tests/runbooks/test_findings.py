"""What is wrong with runbooks."""

import pytest

from trackside.server.lint.finding import Subject
from trackside.server.promql.parser import parse
from trackside.server.runbooks.chapters import parse_markdown
from trackside.server.runbooks.findings import documented, lint_runbooks
from trackside.server.runbooks.shelf import Shelf


def alert(name: str, **annotations: str) -> Subject:
    return Subject(name, "alert", "up", parse("up"), annotations=annotations)


def shelf(text: str, file: str = "RUNBOOK.md") -> Shelf:
    return Shelf.of([parse_markdown(text, file)])


RUNBOOK = """# Runbook

## How to read this

Text only.

## High error rate

1. Look

## WebSocket connection issues

1. Look
"""


def test_a_chapter_without_an_alert():
    found = lint_runbooks([alert("HighErrorRate"), alert("Slow")], shelf(RUNBOOK))
    assert [(each.line, each.sentence) for each in found] == [
        (11, "no alert has the name of this chapter, 'WebSocket connection issues': nobody is led here")
    ]


def test_alerts_that_have_one():
    alerts = [alert("HighErrorRate"), alert("Slow"), alert("Elsewhere", runbook_url="https://x")]
    assert documented(alerts, shelf(RUNBOOK)) == {"HighErrorRate", "Elsewhere"}
    assert documented([alert("Slow")], shelf(RUNBOOK)) is None


def test_a_file_that_is_about_something_else_is_left_alone():
    assert lint_runbooks([alert("Slow")], shelf(RUNBOOK)) == []


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ("nosuch.md", "there is no 'nosuch.md' beside this file"),
        ("nosuch.md#chapter", "there is no 'nosuch.md' beside this file"),
        ("#nosuch", "no heading is called 'nosuch' here"),
        ("other.md", ""),
        ("with%20space.md", ""),
        ("#high-error-rate", ""),
        ("https://wiki/x", ""),
        ("mailto:a@b", ""),
        ("/explore", ""),
        ("{{ $labels.x }}.md", ""),
    ],
)
def test_links_that_lead_nowhere(tmp_path, link, reason):
    (tmp_path / "other.md").write_text("x")
    (tmp_path / "with space.md").write_text("x")
    text = f"## High error rate\n\n[x](<{link}>)\n"
    found = lint_runbooks([alert("HighErrorRate")], shelf(text, str(tmp_path / "RUNBOOK.md")))
    assert [each.sentence for each in found] == ([reason] if reason else [])
