"""Matchers as routes write them: `team="a"`, `{severity=~"page|critical", "k8s.pod"!=""}`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from trackside.model.labels import Labels
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.regex import compiled

_WORD = r"[^\s{}!=~,\\\"'`]+"
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_MODERN = re.compile(rf"\s*(?P<name>{_QUOTED}|{_WORD})\s*(?P<op>=~|!=|!~|=)\s*(?P<value>{_QUOTED}|{_WORD})\s*", re.S)
# As Alertmanager had it before 0.27: names are ASCII, values need no quotes and may be empty or hold blanks.
_CLASSIC = re.compile(
    rf"\s*(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?P<op>=~|!=|!~|=)\s*(?P<value>{_QUOTED}|(?:[^\\\x22,]|\\.)*)\s*", re.S
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))", re.S)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """
    Raises:
        ValueError: not a list of matchers; the message says what was expected, and where.
    """
    try:
        return _parsed(text, _MODERN)
    except ValueError as modern:
        try:
            return _parsed(text, _CLASSIC)
        except ValueError:
            raise modern from None


def _parsed(text: str, pattern: re.Pattern[str]) -> tuple[Matcher, ...]:
    inner = text.strip()
    if inner.startswith("{") != inner.endswith("}"):
        raise ValueError(f"{text!r}: a brace without its pair")
    if inner.startswith("{"):
        inner = inner[1:-1]
    found: list[Matcher] = []
    at = 0
    while at < len(inner) and inner[at:].strip():
        match = pattern.match(inner, at)
        if match is None:
            raise ValueError(f'{text!r}: expected a matcher such as team="a" at {inner[at:].strip()[:30]!r}')
        found.append(_matcher(match, text))
        at = match.end()
        if at < len(inner):
            if inner[at] != ",":
                raise ValueError(f"{text!r}: expected a comma before {inner[at:][:30]!r}")
            at += 1
    return tuple(found)


def _matcher(match: re.Match[str], text: str) -> Matcher:
    name, value = _unquoted(match["name"]), _unquoted(match["value"].strip())
    if not name:
        raise ValueError(f"{text!r}: the name of a label is empty")
    return matcher(name, MatchOp(match["op"]), value)


def matcher(name: str, op: MatchOp, value: str) -> Matcher:
    """
    Raises:
        ValueError: the value is no regular expression, and `op` needs one.
    """
    if op in (MatchOp.REGEX, MatchOp.NOT_REGEX):
        compiled(value)
    return Matcher(name, op, value)


def matches(matchers: Iterable[Matcher], labels: Labels) -> bool:
    return all(_holds(one, labels.get(one.name)) for one in matchers)


def _holds(one: Matcher, value: str) -> bool:
    match one.op:
        case MatchOp.EQUAL:
            return value == one.value
        case MatchOp.NOT_EQUAL:
            return value != one.value
    # Unlike in Prometheus, a dot does not match a line break in Alertmanager.
    found = compiled(f"(?-s:{one.value})").fullmatch(value) is not None
    return found == (one.op is MatchOp.REGEX)


def _unquoted(text: str) -> str:
    inner = text[1:-1] if text.startswith('"') else text
    data = bytearray()
    at = 0
    for escape in _ESCAPE.finditer(inner):
        data += inner[at : escape.start()].encode("utf-8", "surrogatepass")
        byte, code, letter = escape.groups()
        if letter is not None:
            data += _ESCAPES.get(letter, "\\" + letter).encode()
        else:
            data += bytes([int(byte, 16)]) if byte else chr(int(code, 16)).encode("utf-8", "replace")
        at = escape.end()
    data += inner[at:].encode("utf-8", "surrogatepass")
    return data.decode("utf-8", "replace")
