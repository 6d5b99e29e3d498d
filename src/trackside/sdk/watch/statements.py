"""What may be said of an SQL statement in a label or a log line: its kind, and its text without the values in it."""

from __future__ import annotations

import re
from functools import lru_cache

QUERY_TYPES = ("select", "insert", "update", "delete", "other")

_FIRST_WORDS = {word: kind for kind in QUERY_TYPES[:4] for word in (kind, kind.upper(), kind.title())}
_LOOKED_AT = 4_096
"""Characters. A statement whose verb comes later is of the kind "other"."""

_BEFORE_VERB = re.compile(r"(?:\s+|\(|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.S)
_WORD = re.compile(r"[A-Za-z]+")
# Of a statement that begins with "with": what can hold a verb that is not its own, then parentheses and words.
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"[^"]*"|--[^\n]*|/\*.*?\*/|[()]|[A-Za-z_]\w*""", re.S)

_SPACE = re.compile(r"\s+")
_LITERAL = re.compile(r"'(?:[^']|'')*(?:'|$)")
# Where literals cannot be told from the rest without knowing the database: escapes, and quoting by dollars.
_UNCLEAR = re.compile(r"\\|\$[A-Za-z_]*\$")


def query_type(statement: str) -> str:
    """One of `QUERY_TYPES`, by the first verb."""
    # Of six characters, as all four verbs are: what an ORM writes needs no more.
    return _FIRST_WORDS.get(statement[:6]) or _careful_query_type(statement[:_LOOKED_AT])


@lru_cache(maxsize=256)
def _careful_query_type(statement: str) -> str:
    before = _BEFORE_VERB.match(statement)
    word = _WORD.match(statement, before.end() if before else 0)
    if word is None:
        return "other"
    verb = word.group().lower()
    return _type_after_with(statement, word.end()) if verb == "with" else _FIRST_WORDS.get(verb, "other")


def _type_after_with(statement: str, start: int) -> str:
    depth = 0
    for token in _TOKEN.finditer(statement, start):
        text = token.group()
        if text in "()":
            depth += 1 if text == "(" else -1
        elif depth == 0 and text.lower() in _FIRST_WORDS:
            return text.lower()
    return "other"


def without_literals(statement: str, limit: int) -> str:
    """At most `limit` characters on one line, with '?' for each text in quotes; cut where that is not certain."""
    head = statement[: 4 * limit]
    unclear = _UNCLEAR.search(head)
    cut = unclear is not None or len(head) < len(statement)
    if unclear is not None:
        # A literal may have begun before it, and may end anywhere.
        head = head[: unclear.start()].partition("'")[0]
    text = _SPACE.sub(" ", _LITERAL.sub("'?'", head)).strip()
    if len(text) > limit:
        text, cut = text[:limit], True
    return f"{text}…" if cut else text
