"""A Markdown file taken apart: chapters by their headings, and where its links lead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MAX_CHARACTERS = 1 << 20

_SLUG = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Chapter:
    """A heading and what follows it, up to the next heading that is not deeper."""

    title: str
    level: int
    line: int
    """From 1."""
    tokens: tuple[Token, ...]
    """With those of the heading."""


@dataclass(frozen=True, slots=True)
class Link:
    target: str
    line: int


@dataclass(frozen=True, slots=True)
class MarkdownFile:
    file: str
    tokens: tuple[Token, ...]
    chapters: tuple[Chapter, ...]
    links: tuple[Link, ...]

    @property
    def anchors(self) -> frozenset[str]:
        return frozenset(anchor(chapter.title) for chapter in self.chapters)


def markdown() -> MarkdownIt:
    """HTML in the text stays text: whoever may edit a runbook must not script whoever reads it."""
    from markdown_it import MarkdownIt  # noqa: PLC0415 - many servers look for runbooks, and find none

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


# Some 10 ms for a runbook of a dozen alerts, and each page about an alert asks for it.
@lru_cache(maxsize=64)
def parse_markdown(text: str, file: str) -> MarkdownFile:
    """Any text is Markdown; beyond a million characters it is cut off."""
    tokens = markdown().parse(text[:MAX_CHARACTERS])
    return MarkdownFile(file, tuple(tokens), tuple(_chapters(tokens)), tuple(_links(tokens)))


def anchor(title: str) -> str:
    """`#high-error-rate` of "High error rate", as GitHub makes them."""
    return _SLUG.sub("", title.strip().lower()).replace(" ", "-")


def _chapters(tokens: Sequence[Token]) -> Iterator[Chapter]:
    starts = [place for place, token in enumerate(tokens) if token.type == "heading_open" and token.level == 0]
    for number, start in enumerate(starts):
        level = int(tokens[start].tag[1:])
        later = (place for place in starts[number + 1 :] if int(tokens[place].tag[1:]) <= level)
        end = next(later, len(tokens))
        line = (tokens[start].map or [0])[0] + 1
        yield Chapter(_plain(tokens[start + 1]), level, line, tuple(tokens[start:end]))


def _plain(inline: Token) -> str:
    return "".join(child.content for child in inline.children or () if child.type in ("text", "code_inline")).strip()


def _links(tokens: Sequence[Token]) -> Iterator[Link]:
    for token in tokens:
        line = (token.map or [0])[0] + 1
        for child in token.children or ():
            target = child.attrGet("href") or child.attrGet("src")
            if isinstance(target, str):
                yield Link(target, line)
