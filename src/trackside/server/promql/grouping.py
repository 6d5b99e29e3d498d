"""Label lists of aggregations and vector matching: `by (job)`, `on (instance) group_left (version)`."""

from __future__ import annotations

from trackside.server.promql.cursor import Cursor
from trackside.server.promql.syntax import Card, VectorMatching
from trackside.server.promql.tokens import Kind


def label_list(cursor: Cursor) -> tuple[str, ...]:
    """Names in parentheses, perhaps none, perhaps with a comma behind the last."""
    opened = cursor.expect("(", "in grouping opts")
    labels: list[str] = []
    while not cursor.accept(")"):
        token = cursor.token
        if token.kind not in (Kind.NAME, Kind.METRIC_NAME, Kind.STRING):
            cursor.fail("unexpected {} in grouping opts, expected label")
        cursor.take()
        labels.append(token.string if token.kind is Kind.STRING else token.text)
        if not cursor.accept(","):
            cursor.close(")", opened, "in grouping opts", '"," or ")"')
            break
    return tuple(labels)


def matching(cursor: Cursor) -> VectorMatching | None:
    """What follows a binary operator: `on (…)` or `ignoring (…)`, then perhaps `group_left` or `group_right`."""
    if not cursor.at_word("on", "ignoring"):
        return None
    on = cursor.take().word == "on"
    labels = label_list(cursor)
    if not cursor.at_word("group_left", "group_right"):
        return VectorMatching(Card.ONE_TO_ONE, labels, on)
    card = Card.MANY_TO_ONE if cursor.take().word == "group_left" else Card.ONE_TO_MANY
    include = label_list(cursor) if cursor.at_symbol("(") else ()
    return VectorMatching(card, labels, on, include)
