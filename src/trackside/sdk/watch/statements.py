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
_MYSQL = frozenset(("mysql", "mariadb"))
"""Where a backslash escapes, and what stands between double quotes is a text."""

# What may hold anything, and so comes before all else. Without the end of a literal its rest is taken: a statement may
# have been cut there.
_COMMENT = r"(?P<comment>--[^\n]*|\#(?![>\#=-])[^\n]*|(?P<block>/\*))"
_DOLLARS = r"(?P<dollars>\$(?:[A-Za-z_]\w*)?\$)"
_PREFIX = r"(?:(?<!\w)(?:[BbNnXx]|[Uu]&|_\w+))?"
_ESCAPED = r"(?:(?<!\w)[Ee]'[^'\\]*(?:(?:''|\\.)[^'\\]*)*(?:'|\\?\Z))"
_TEXT = _PREFIX + r"'[^'\\]*(?:''[^'\\]*)*(?:'|\Z|(?P<unclear>\\))"
_TEXT_OF_MYSQL = (
    _PREFIX + r"""(?:'[^'\\]*(?:(?:''|\\.)[^'\\]*)*(?:'|\\?\Z)|"[^"\\]*(?:(?:""|\\.)[^"\\]*)*(?:"|\\?\Z))"""
)
_NAME = r"""(?P<name>"[^"]*(?:""[^"]*)*(?:"|\Z)|`[^`]*(?:`|\Z))"""
_PLACEHOLDER = r"(?P<placeholder>(?<![\w\]:])[:?]\d+)"
# Not within a word, and not the number of a parameter.
_NUMBER = r"(?:(?<![\w$@])(?:\d[\w.]*|\.\d[\w.]*)(?:(?<=[Ee])[+-]\d+)?)"

_PARTS = re.compile("|".join((_COMMENT, _DOLLARS, _ESCAPED, _TEXT, _NAME, _PLACEHOLDER, _NUMBER)), re.S)
_PARTS_OF_MYSQL = re.compile("|".join((_COMMENT, _TEXT_OF_MYSQL, _NAME, _PLACEHOLDER, _NUMBER)), re.S)
_HARMLESS_NAME = re.compile(r"[\"`][\w$ .-]{1,64}[\"`]")
_BLOCK_EDGE = re.compile(r"/\*|\*/")


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


def without_literals(statement: str, limit: int, system: str = "") -> str:
    """At most `limit` characters on one line, with ? for each text and number and without comments; cut where it is not
    certain what is a literal. `system` is what OpenTelemetry calls the kind of the database."""
    head = statement[: 4 * limit]
    text, cut = _bare(head, system in _MYSQL)
    cut = cut or len(head) < len(statement)
    if len(text) > limit:
        text, cut = text[:limit], True
    return f"{text}…" if cut else text


@lru_cache(maxsize=256)
def _bare(statement: str, is_mysql: bool) -> tuple[str, bool]:
    """And whether the rest had to be left out."""
    shown: list[str] = []
    at, cut = 0, False
    parts = _PARTS_OF_MYSQL if is_mysql else _PARTS
    while not cut and (part := parts.search(statement, at)) is not None:
        shown.append(statement[at : part.start()])
        written, at = _written(part)
        shown.append(written)
        cut = at < 0
    if not cut:
        shown.append(statement[at:])
    return _SPACE.sub(" ", "".join(shown)).strip(), cut


def _written(part: re.Match[str]) -> tuple[str, int]:
    """What is shown of it, and where it ends; -1: that cannot be known."""
    statement, end = part.string, part.end()
    found = part.groupdict()
    if found["block"]:
        return " ", _end_of_block(statement, end)
    if found["comment"]:
        return " ", end
    if found["placeholder"] or (found["name"] and _HARMLESS_NAME.fullmatch(part.group())):
        return part.group(), end
    if found.get("dollars"):
        close = statement.find(found["dollars"], end)
        return "?", close + len(found["dollars"]) if close >= 0 else -1
    # A backslash escapes what follows, or does not: that is a setting of the server.
    return "?", -1 if found.get("unclear") else end


def _end_of_block(statement: str, start: int) -> int:
    """Of a comment. PostgreSQL's may be within each other; of others that look so the rest is left out."""
    depth = 1
    for edge in _BLOCK_EDGE.finditer(statement, start):
        depth += 1 if edge.group() == "/*" else -1
        if not depth:
            return edge.end()
    return -1
