"""Plain text in the Atlassian Document Format, which is all that version 3 of Jira's API takes for a long text."""

from __future__ import annotations

import re
from itertools import groupby

Node = dict[str, object]

_LINK = re.compile(r"(https?://[^\s<>\"]+)")
_HEADING = re.compile(r"(#{1,6})\s+(.+)")
_ITEM = re.compile(r"\s*[-*]\s+(.+)")


def document(text: str) -> Node:
    """Lines of "# …" become headings, those of "- …" lists; others that follow each other a paragraph."""
    content: list[Node] = []
    for kind, group in groupby(text.splitlines(), key=_kind):
        lines = list(group)
        if kind == "heading":
            content += [_heading(line) for line in lines]
        elif kind == "bulletList":
            content.append({"type": kind, "content": [_item(line) for line in lines]})
        elif kind == "paragraph":
            content.append({"type": kind, "content": _lines(lines)})
    return {"type": "doc", "version": 1, "content": content}


def _kind(line: str) -> str:
    if not line.strip():
        return ""
    if _HEADING.fullmatch(line):
        return "heading"
    return "bulletList" if _ITEM.fullmatch(line) else "paragraph"


def _heading(line: str) -> Node:
    marks, _, text = line.partition(" ")
    return {"type": "heading", "attrs": {"level": len(marks)}, "content": _inline(text.strip())}


def _item(line: str) -> Node:
    text = line.lstrip()[1:].strip()
    return {"type": "listItem", "content": [{"type": "paragraph", "content": _inline(text)}]}


def _lines(lines: list[str]) -> list[Node]:
    content = _inline(lines[0])
    for line in lines[1:]:
        content += [{"type": "hardBreak"}, *_inline(line)]
    return content


def _inline(text: str) -> list[Node]:
    """With what reads as an address as a link: nothing in a document is one by itself."""
    return [
        {"type": "text", "text": part} | ({"marks": [{"type": "link", "attrs": {"href": part}}]} if place % 2 else {})
        for place, part in enumerate(_LINK.split(text))
        if part
    ]
