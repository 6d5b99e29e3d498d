"""Plain text as a document of Atlassian's format."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.server.receivers.adf import document


def text(words, **more):
    return {"type": "text", "text": words, **more}


def paragraph(*content):
    return {"type": "paragraph", "content": list(content)}


def lines(*words):
    between = {"type": "hardBreak"}
    return paragraph(*[part for word in words for part in (between, text(word))][1:])


def items(*contents):
    return {"type": "bulletList", "content": [{"type": "listItem", "content": [one]} for one in contents]}


LINK = text("https://x/y?a=b", marks=[{"type": "link", "attrs": {"href": "https://x/y?a=b"}}])


@pytest.mark.parametrize(
    ("words", "content"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param(" \n\n", [], id="blank lines"),
        pytest.param(
            "a\nb\n\nc", [paragraph(text("a"), {"type": "hardBreak"}, text("b")), paragraph(text("c"))], id="lines"
        ),
        pytest.param(
            "## Alerts Firing:\nLabels:",
            [
                {"type": "heading", "attrs": {"level": 2}, "content": [text("Alerts Firing:")]},
                paragraph(text("Labels:")),
            ],
            id="a heading",
        ),
        pytest.param("  - a = 1\n* b", [items(paragraph(text("a = 1")), paragraph(text("b")))], id="a list"),
        pytest.param(
            "#a\n-b\n- \n#",
            [lines("#a", "-b", "- ", "#")],
            id="marks without a text",
        ),
        pytest.param("see https://x/y?a=b now", [paragraph(text("see "), LINK, text(" now"))], id="a link"),
        pytest.param("javascript:alert(1)", [paragraph(text("javascript:alert(1)"))], id="no link"),
    ],
)
def test_documents(words, content):
    assert document(words) == {"type": "doc", "version": 1, "content": content}


def texts(node):
    if node["type"] == "text":
        yield node["text"]
    for inner in node.get("content", ()):
        yield from texts(inner)


@given(st.text(alphabet="ab #-*\n\r:/.<>\"'&\u2028", max_size=60))
def test_no_word_is_lost_and_no_text_is_empty(words):
    found = list(texts(document(words)))
    assert all(found)
    kept = "".join("".join(found).split())
    assert [letter for letter in kept if letter in "ab:/.<>\"'&"] == [
        letter for letter in words if letter in "ab:/.<>\"'&"
    ]
