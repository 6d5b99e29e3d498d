"""A runbook as a page shows it: its Markdown, with what its queries say now for the alert it is read for."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from trackside.model.labels import METRIC_NAME, Labels
from trackside.server.promql.quoting import quoted
from trackside.server.rules.templates import ExternalFacts
from trackside.server.runbooks.chapters import Chapter
from trackside.server.runbooks.rendering import LiveQuery, rendered
from trackside.server.web.ask import Answer, Question, ask_all
from trackside.server.web.console import Console
from trackside.server.web.figures import amount
from trackside.server.web.period import Period

MOST_SERIES = 12
# As the renderer writes it; nothing of the text itself can look so, as it is escaped.
_FIGURE = re.compile(r'<figure class="live-query" data-query="(\d+)">(.*?)</figure>', re.S)
_HEADING = re.compile(r"<(/?)h([1-6])>")
_LOWEST = 6


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom a runbook is read: an alert, or nobody in particular."""

    labels: Labels
    value: float = math.nan


async def runbook_html(console: Console, chapter: Chapter, reader: Reader, period: Period) -> Markup:
    """Its headings one level below the page's own."""
    facts = ExternalFacts(console.external_url)
    page = rendered(chapter, reader.labels, reader.value, facts, period.now_ms)
    askable = {str(number): Question(query.expr) for number, query in enumerate(page.queries) if not query.error}
    answers = await ask_all(console.backend, console.clock, period, askable)

    def with_answer(found: re.Match[str]) -> str:
        number = int(found[1])
        said = _said(page.queries[number], answers.get(found[1]))
        return f'<figure class="live-query">{found[2]}{said}</figure>'

    def deeper(found: re.Match[str]) -> str:
        return f"<{found[1]}h{min(_LOWEST, int(found[2]) - chapter.level + 3)}>"

    html = _HEADING.sub(deeper, _FIGURE.sub(with_answer, page.html))
    return Markup(html)


def _said(query: LiveQuery, answer: Answer | None) -> Markup:
    reason = query.error or (answer.reason if answer is not None else "")
    if reason or answer is None:
        return Markup('<p class="failure">This query failed: {}</p>').format(reason)
    rows = answer.vector()
    if not rows:
        return Markup('<p class="note">Now: nothing. No series answers.</p>')
    if len(rows) == 1 and not rows[0][0].without(METRIC_NAME):
        return Markup('<p class="now">Now: <b>{}</b></p>').format(amount(rows[0][1]))
    return _table(rows)


def _table(rows: Sequence[tuple[Labels, float]]) -> Markup:
    highest = sorted(rows, key=lambda row: (math.isnan(row[1]), -row[1]))
    lines = [
        Markup('<tr><th scope="row">{}</th><td>{}</td></tr>').format(_name(labels), amount(value))
        for labels, value in highest[:MOST_SERIES]
    ]
    more = len(rows) - len(lines)
    note = Markup('<p class="note">and {} more</p>').format(more) if more > 0 else Markup("")
    head = Markup('<thead><tr><th scope="col">Now</th><th scope="col">Value</th></tr></thead>')
    return Markup("<table>{}<tbody>{}</tbody></table>{}").format(head, Markup("").join(lines), note)


def _name(labels: Labels) -> Markup:
    pairs = ", ".join(f"{name}={quoted(value)}" for name, value in labels.without(METRIC_NAME))
    return escape(pairs or labels.get(METRIC_NAME) or "all")
