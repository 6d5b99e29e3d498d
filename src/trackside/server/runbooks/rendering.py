"""A runbook as HTML, with its queries taken out to be asked: for the labels of the alert it is read for."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from trackside.exceptions import QueryError, TemplateError
from trackside.model.labels import Labels, quoted
from trackside.server.promql.parser import parse
from trackside.server.promql.syntax import Aggregate, Binary, Call
from trackside.server.rules.template_functions import QueryNeeded
from trackside.server.rules.templates import Expansion, ExternalFacts, compiled
from trackside.server.runbooks.chapters import Chapter, markdown

if TYPE_CHECKING:
    from markdown_it.token import Token

MOST_QUERIES = 50


@dataclass(frozen=True, slots=True)
class LiveQuery:
    """A block of PromQL; its place in the HTML has `data-query` with its number."""

    expr: str
    error: str = ""
    """Why it cannot be asked."""


@dataclass(frozen=True, slots=True)
class Page:
    html: str
    queries: tuple[LiveQuery, ...]


def rendered(chapter: Chapter, labels: Labels, value: float, external: ExternalFacts, now_ms: int) -> Page:
    """`{{ $labels.job }}` and the like are filled in, in the text and in the queries."""
    expansion = Expansion(labels, value, external, {}, now_ms)
    writing = _Writing(expansion, replace(expansion, labels=_for_queries(labels)))
    return Page(writing.html(chapter.tokens), tuple(writing.queries))


def _for_queries(labels: Labels) -> Labels:
    """Values as they may stand between quotes: none of them can end a query's string."""
    return Labels(tuple((name, quoted(text)) for name, text in labels))


class _Writing:
    def __init__(self, text: Expansion, query: Expansion) -> None:
        self._text, self._query = text, query
        self.queries: list[LiveQuery] = []

    def html(self, tokens: Sequence[Token]) -> str:
        renderer = markdown()
        changed = [self._changed(token) for token in tokens]
        html: str = renderer.renderer.render(changed, renderer.options, {})
        return html

    def _changed(self, token: Token) -> Token:
        token = copy(token)
        if token.type == "fence" and token.info.strip().split(" ")[0].lower() == "promql":
            return self._live(token)
        if token.children is not None:
            token.children = [self._inline(child) for child in token.children]
        elif token.type in ("fence", "code_block"):
            token.content = _filled(token.content, self._text)
        return token

    def _live(self, token: Token) -> Token:
        if len(self.queries) >= MOST_QUERIES:
            return token
        expr = _filled(token.content, self._query).strip()
        self.queries.append(LiveQuery(expr, _fault(expr)))
        number = len(self.queries) - 1
        code = f"<pre><code>{escape(expr)}</code></pre>"
        link = f'<a href="/explore?expr={quote_plus(expr)}">open in Explore</a>'
        return _html(
            f'<figure class="live-query" data-query="{number}">{code}<figcaption>{link}</figcaption></figure>\n'
        )

    def _inline(self, token: Token) -> Token:
        token = copy(token)
        if token.type == "code_inline":
            content = _filled(token.content, self._query)
            if _is_query(content):
                return _html(f'<a href="/explore?expr={quote_plus(content)}"><code>{escape(content)}</code></a>')
            token.content = content
        elif token.type == "text":
            token.content = _filled(token.content, self._text)
        elif token.type == "link_open":
            token.attrs = {**token.attrs, "rel": "noopener noreferrer"}
        return token


def _html(text: str) -> Token:
    from markdown_it.token import Token  # noqa: PLC0415 - with the first runbook

    """What we wrote ourselves, every foreign part of it escaped."""
    return Token("html_block", "", 0, content=text)


def _filled(text: str, expansion: Expansion) -> str:
    """A text that is no template after all stays as it is written: a runbook may speak of other templates."""
    try:
        compiled(text)
        return expansion.expand(text)
    except (TemplateError, QueryNeeded):
        return text


def _fault(expr: str) -> str:
    try:
        parse(expr)
    except QueryError as error:
        return str(error)
    return ""


def _is_query(text: str) -> bool:
    """More than a name: `GET /orders` and `orders` are none."""
    try:
        return isinstance(parse(text), Aggregate | Binary | Call)
    except QueryError:
        return False
