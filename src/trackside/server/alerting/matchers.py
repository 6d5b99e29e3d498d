"""Matchers as routes, inhibit rules and silences write them: `team="a"`, `{severity=~"page|critical", "a.b"!=""}`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from trackside.model.labels import Labels, quoted
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.gotemplate.literals import unquote
from trackside.server.regex import compiled, compiled_by_line, predicate


class Syntax(Enum):
    """How matchers are read, by the name of Alertmanager's feature flag."""

    FALLBACK = ""
    """As UTF-8 matchers; what is none of them, or means something else there, as before version 0.27."""
    UTF8 = "utf8-strict-mode"
    CLASSIC = "classic-mode"
    """As before version 0.27: names are ASCII, values need no quotes and may be empty or hold blanks."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text says, and what is doubtful about it."""

    matchers: tuple[Matcher, ...]
    warning: str = ""


# What Go calls a space, which is not what Python does.
_SPACE = "\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_BLANK = rf"[{_SPACE}]*"
_ENDS = re.compile(rf"{_BLANK}\Z")
_WORD = rf"[^{_SPACE}{{}}!=~,\\\"'`]+"
_NAME = re.compile(_WORD)
_QUOTED = (
    r'"(?:[^"\\\n]|\\(?:[abfnrtv\\"]|x[0-9a-fA-F]{2}|[0-3][0-7]{2}|u(?![dD][89a-fA-F])[0-9a-fA-F]{4}'
    r'|U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4}))*"'
)
_UTF8 = re.compile(
    rf"{_BLANK}(?P<name>{_QUOTED}|{_WORD}){_BLANK}(?P<op>=~|!=|!~|=){_BLANK}(?P<value>{_QUOTED}|{_WORD}){_BLANK}"
)
_CLASSIC = re.compile(r"\s*(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?P<op>=~|=|!=|!~)(?P<value>.*)", re.S | re.A)
_CLASSIC_ESCAPE = re.compile(r'\\([n"\\])')
_CLASSIC_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}
# Up to a comma that is not between quotes. A backslash takes the first character after it that is no comma.
_CLASSIC_TOKEN = re.compile(r'(?:[^",\\]|\\[^,]?|"(?:[^"\\]|\\,*[^,]?)*(?:"|\Z))*', re.S)


def parse_matchers(text: str, syntax: Syntax = Syntax.FALLBACK) -> tuple[Matcher, ...]:
    """
    Raises:
        ValueError: not a list of matchers; the message says what was expected, and where.
    """
    return read_matchers(text, syntax).matchers


def read_matchers(text: str, syntax: Syntax = Syntax.FALLBACK) -> Reading:
    """
    Raises:
        ValueError: not a list of matchers; the message says what was expected, and where.
    """
    if syntax is Syntax.UTF8:
        return Reading(_utf8(text))
    if syntax is Syntax.CLASSIC:
        return Reading(_classic(text))
    try:
        modern = _utf8(text)
    except ValueError as refusal:
        try:
            classic = _classic(text)
        except ValueError:
            raise refusal from None
        return Reading(classic, f"{text!r} is read as a classic matcher; quoted it is understood by all versions")
    try:
        classic = _classic(text)
    except ValueError:
        return Reading(modern)
    if modern == classic:
        return Reading(modern)
    return Reading(classic, f"the two ways to read matchers are in disagreement about {text!r}; the classic one holds")


def parse_matcher(text: str, syntax: Syntax = Syntax.FALLBACK) -> Matcher:
    """One matcher without braces, as a filter of the API has it: a comma may be part of a classic value.

    Raises:
        ValueError: not one matcher; the message says what was expected.
    """
    if syntax is Syntax.CLASSIC:
        return _classic_matcher(text)
    try:
        modern = _utf8_matcher(text)
    except ValueError as refusal:
        if syntax is Syntax.UTF8:
            raise
        try:
            return _classic_matcher(text)
        except ValueError:
            raise refusal from None
    if syntax is Syntax.UTF8:
        return modern
    try:
        # Where the two ways to read it disagree, the classic one holds.
        return _classic_matcher(text)
    except ValueError:
        return modern


def _utf8_matcher(text: str) -> Matcher:
    if text.strip(_GO_SPACES).startswith("{"):
        raise ValueError(f"{text!r}: expected one matcher without braces")
    found = _utf8(text)
    if len(found) != 1:
        raise ValueError(f"{text!r}: expected one matcher, found {len(found)}")
    return found[0]


def matcher(name: str, op: MatchOp, value: str) -> Matcher:
    """
    Raises:
        ValueError: the value is no regular expression, and `op` needs one.
    """
    if op in (MatchOp.REGEX, MatchOp.NOT_REGEX):
        compiled(value)
    return Matcher(name, op, value)


def written(one: Matcher) -> str:
    """As Alertmanager writes it: a name of other than plain characters stands between quotes."""
    text = str(one)
    if _NAME.fullmatch(one.name):
        return text
    return f'"{quoted(one.name)}"{text[len(one.name) :]}'


def matches(matchers: Iterable[Matcher], labels: Labels) -> bool:
    return all(predicate(one, compiled_by_line)(labels.get(one.name)) for one in matchers)


def _utf8(text: str) -> tuple[Matcher, ...]:
    inner = text.strip(_GO_SPACES)
    if inner.startswith("{") != inner.endswith("}") or inner == "{":
        raise ValueError(f"{text!r}: a brace without its pair")
    if inner.startswith("{"):
        inner = inner[1:-1]
    found: list[Matcher] = []
    at = 0
    while not _ENDS.match(inner, at):
        match = _UTF8.match(inner, at)
        if match is None:
            raise ValueError(f'{text!r}: expected a matcher such as team="a" at {inner[at : at + 30].strip()!r}')
        found.append(matcher(_unquoted(match["name"]), MatchOp(match["op"]), _unquoted(match["value"])))
        at = match.end()
        if at < len(inner):
            if inner[at] != ",":
                raise ValueError(f"{text!r}: expected a comma before {inner[at : at + 30]!r}")
            at += 1
    return tuple(found)


_GO_SPACES = "".join(re.findall(f"[{_SPACE}]", "".join(map(chr, range(0x3001)))))


def _unquoted(text: str) -> str:
    if not text.startswith('"'):
        return text
    value = unquote(text)
    if "\ufffd" in value and "\ufffd" not in text:
        raise ValueError(f"{text}: not UTF-8")
    return value


def _classic(text: str) -> tuple[Matcher, ...]:
    inner = text.removeprefix("{").removesuffix("}")
    found: list[Matcher] = []
    at = 0
    while at < len(inner):
        token = _CLASSIC_TOKEN.match(inner, at)
        # The pattern may match nothing, so it always matches.
        end = token.end() if token is not None else at
        if inner[at:end].strip() or end < len(inner):
            found.append(_classic_matcher(inner[at:end]))
        at = end + 1
    return tuple(found)


def _classic_matcher(text: str) -> Matcher:
    match = _CLASSIC.fullmatch(text)
    if match is None:
        raise ValueError(f'{text!r}: expected a matcher such as team="a"')
    value = match["value"].strip("\t\n\f\r ")
    if value.startswith('"'):
        body = value[1:]
        if not body.endswith('"') or _escapes_its_end(body):
            raise ValueError(f"{text!r}: a double quote without its pair")
        value = body[:-1]
    if '"' in _CLASSIC_ESCAPE.sub("", value):
        raise ValueError(f"{text!r}: a double quote within a value needs a backslash before it")
    # Any other backslash stands for itself.
    plain = _CLASSIC_ESCAPE.sub(lambda escape: _CLASSIC_ESCAPES[escape[1]], value)
    return matcher(match["name"], MatchOp(match["op"]), plain)


def _escapes_its_end(body: str) -> bool:
    before = body[:-1]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1
