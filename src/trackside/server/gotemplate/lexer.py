"""Template text to tokens: literal text, and the words between `{{` and `}}`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from trackside.exceptions import TemplateError
from trackside.server.gotemplate.syntax import position

_SPACES = " \t\r\n"
_OPEN_TRIM = re.compile(r"\{\{-[ \t\r\n]")
_CLOSE = re.compile(r"(?:[ \t\r\n]-)?\}\}")
_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_TOKENS = re.compile(
    r"""(?P<space>(?:(?![ \t\r\n]-\}\})[ \t\r\n])+)
    |(?P<declare>:=)
    |(?P<assign>=)
    |(?P<pipe>\|)
    |(?P<comma>,)
    |(?P<left>\()
    |(?P<right>\))
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<raw>`[^`]*`)
    |(?P<char>'(?:[^'\\\n]|\\.[^'\n]*)')
    |(?P<number>[+-]?\.?\d(?:[\w.]|(?<=[eEpP])[+-])*)
    |(?P<field>\.[^\W\d]\w*)
    |(?P<dot>\.)
    |(?P<variable>\$(?:\w+)?)
    |(?P<word>[^\W\d]\w*)""",
    re.X,
)
# What may stand directly after a value: anything else is two words run together, such as "abc".x or 1a.
_ENDS_VALUE = frozenset(" \t\r\n|,()=:}")


class Kind(Enum):
    TEXT = "text"
    OPEN = "{{"
    CLOSE = "}}"
    SPACE = "space"
    DECLARE = ":="
    ASSIGN = "="
    PIPE = "|"
    COMMA = ","
    LEFT = "("
    RIGHT = ")"
    STRING = "string"
    RAW = "raw string"
    CHAR = "character"
    NUMBER = "number"
    FIELD = "field"
    DOT = "."
    VARIABLE = "variable"
    WORD = "word"
    END = "end of the text"


_KINDS = {
    "space": Kind.SPACE,
    "declare": Kind.DECLARE,
    "assign": Kind.ASSIGN,
    "pipe": Kind.PIPE,
    "comma": Kind.COMMA,
    "left": Kind.LEFT,
    "right": Kind.RIGHT,
    "string": Kind.STRING,
    "raw": Kind.RAW,
    "char": Kind.CHAR,
    "number": Kind.NUMBER,
    "field": Kind.FIELD,
    "dot": Kind.DOT,
    "variable": Kind.VARIABLE,
    "word": Kind.WORD,
}


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str
    offset: int


def tokens(text: str, name: str) -> Iterator[Token]:
    """Ends with one token of kind END.

    Raises:
        TemplateError: an action, a string or a comment that is not closed, or a character that means nothing.
    """
    at = 0
    trim = False
    while True:
        start = text.find("{{", at)
        literal = text[at:] if start < 0 else text[at:start]
        if trim:
            literal = literal.lstrip(_SPACES)
        if start < 0:
            if literal:
                yield Token(Kind.TEXT, literal, at)
            yield Token(Kind.END, "", len(text))
            return
        trims_left = _OPEN_TRIM.match(text, start) is not None
        if trims_left:
            literal = literal.rstrip(_SPACES)
        if literal:
            yield Token(Kind.TEXT, literal, at)
        inside = start + (4 if trims_left else 2)
        if text.startswith("/*", inside):
            at, trim = _after_comment(text, name, inside)
        else:
            yield Token(Kind.OPEN, "{{", start)
            words, at, trim = _action(text, name, start, inside)
            yield from words


def _after_comment(text: str, name: str, start: int) -> tuple[int, bool]:
    comment = _COMMENT.match(text, start)
    if comment is None:
        raise _error(text, name, start, "this comment is not closed; expected */}}")
    close = _CLOSE.match(text, comment.end())
    if close is None:
        raise _error(text, name, start, "a comment must be closed by */}} with nothing between")
    return close.end(), len(close[0]) > 2


def _action(text: str, name: str, opened: int, start: int) -> tuple[list[Token], int, bool]:
    """The tokens of one action, where the text after it begins, and whether that loses its leading spaces."""
    found: list[Token] = []
    at = start
    depth = 0
    while True:
        close = _CLOSE.match(text, at)
        if close is not None:
            if depth:
                raise _error(text, name, at, "expected ) before the action ends")
            found.append(Token(Kind.CLOSE, close[0], at))
            return found, close.end(), len(close[0]) > 2
        match = _TOKENS.match(text, at)
        if match is None:
            raise _unreadable(text, name, opened, at)
        token = Token(_KINDS[str(match.lastgroup)], match[0], at)
        depth += {Kind.LEFT: 1, Kind.RIGHT: -1}.get(token.kind, 0)
        if depth < 0:
            raise _error(text, name, at, "unexpected )")
        at = match.end()
        if (
            token.kind in (Kind.NUMBER, Kind.STRING, Kind.RAW, Kind.CHAR)
            and at < len(text)
            and text[at] not in _ENDS_VALUE
        ):
            raise _error(text, name, at, f"unexpected {text[at]!r} directly after {token.text}")
        found.append(token)


def _unreadable(text: str, name: str, opened: int, at: int) -> TemplateError:
    if at >= len(text):
        return _error(text, name, opened, "this action is not closed; expected }}")
    if text[at] in "\"`'":
        return _error(text, name, at, f"a {text[at]} without its pair")
    return _error(text, name, at, f"unexpected {text[at]!r}")


def _error(text: str, name: str, offset: int, reason: str) -> TemplateError:
    line, column = position(text, offset)
    return TemplateError(reason, name=name, line=line, column=column)
