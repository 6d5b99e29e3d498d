"""Markdown taken apart: chapters, anchors, links."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.server.runbooks.chapters import anchor, parse_markdown

TEXT = """# Runbook

Intro with a [link](other.md).

## High error rate

1. Look: `sum(up)`

### Details

More.

## Slow `p95`

![picture](a.png)
"""


def test_chapters_end_where_the_next_one_of_their_level_begins():
    file = parse_markdown(TEXT, "RUNBOOK.md")
    assert [(each.title, each.level, each.line) for each in file.chapters] == [
        ("Runbook", 1, 1),
        ("High error rate", 2, 5),
        ("Details", 3, 9),
        ("Slow p95", 2, 13),
    ]
    sizes = [len(each.tokens) for each in file.chapters]
    assert sizes[0] == len(file.tokens)
    assert sizes[1] > sizes[2]


def test_links_and_pictures_with_their_lines():
    file = parse_markdown(TEXT, "RUNBOOK.md")
    assert [(link.target, link.line) for link in file.links] == [("other.md", 3), ("a.png", 15)]


@pytest.mark.parametrize(
    ("title", "expected"),
    [("High error rate", "high-error-rate"), ("What's up? (2)", "whats-up-2"), ("p95_x", "p95_x"), ("Ä", "ä")],
)
def test_anchors(title, expected):
    assert anchor(title) == expected


@pytest.mark.parametrize(
    "text", ["", "#", "no heading", "```promql\nup", "\x00\x00", "# " * 500, "> " * 200 + "x", "[" * 5_000]
)
def test_any_text_is_markdown(text):
    parse_markdown(text, "x.md")


@given(st.text(max_size=200))
def test_no_text_is_refused(text):
    for chapter in parse_markdown(text, "x.md").chapters:
        assert chapter.line >= 1
        assert chapter.tokens
