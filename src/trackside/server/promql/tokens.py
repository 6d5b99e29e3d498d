"""Text of a query to tokens, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from trackside.exceptions import QueryError
from trackside.model.durations import parse_duration
from trackside.server.promql.syntax import Span


class Kind(Enum):
    """Named as error messages speak of them."""

    NUMBER = "number"
    DURATION = "duration"
    STRING = "string"
    NAME = "identifier"
    METRIC_NAME = "metric name"
    """With a colon in it: may name a metric, not a label."""
    SYMBOL = "symbol"
    END = "end of input"


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str
    """As written."""
    span: Span
    number: float = 0.0
    """Of a number; of a duration, its milliseconds."""
    string: str = ""
    """Of a string, its value."""

    @property
    def word(self) -> str:
        """Keywords are compared in lower case."""
        return self.text.lower() if self.kind is Kind.NAME else ""

    def __str__(self) -> str:
        if self.kind is Kind.END:
            return "end of input"
        return f"{self.kind.value} {self.text!r}" if self.kind is not Kind.SYMBOL else repr(self.text)


_SPACE = re.compile(r"(?:\s+|#[^\n]*)+")
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdwy]))+(?![\w.])")
_NUMBER = re.compile(
    r"0[xX](?:_?[0-9a-fA-F])+(?![\w.])"
    r"|(?:\d(?:_?\d)*(?:\.(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?(?![\w.])"
)
_BAD_NUMBER = re.compile(r"\.?\d[\w.:]*")
_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_SYMBOL = re.compile(r"=~|!~|==|!=|<=|>=|[-+*/%^<>=(){}\[\],:@]")
_QUOTED = {
    '"': re.compile(r'"((?:[^"\\\n]|\\.)*)"'),
    "'": re.compile(r"'((?:[^'\\\n]|\\.)*)'"),
    "`": re.compile(r"`([^`]*)`"),
}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.S)
_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, '"': 34}


def tokenize(query: str) -> list[Token]:
    """All tokens, the last of kind END.

    Raises:
        QueryError: at the first character that begins no token.
    """
    tokens: list[Token] = []
    position = 0
    while True:
        if (space := _SPACE.match(query, position)) is not None:
            position = space.end()
        if position >= len(query):
            tokens.append(Token(Kind.END, "", Span(len(query), len(query))))
            return tokens
        token = _token(query, position, tokens[-1] if tokens else None)
        tokens.append(token)
        position = token.span.end


def _token(query: str, start: int, before: Token | None) -> Token:
    char = query[start]
    if char in _QUOTED:
        return _string(query, start)
    if char.isascii() and (char.isdigit() or char == "."):
        return _number(query, start)
    # In `[5m:1m]` the colon separates; in `job:rate5m` it is part of the name.
    separates = char == ":" and before is not None and before.kind in (Kind.NUMBER, Kind.DURATION)
    if not separates and (name := _NAME.match(query, start)) is not None:
        kind = Kind.METRIC_NAME if ":" in name[0] else Kind.NAME
        return Token(kind, name[0], Span(start, name.end()))
    if (symbol := _SYMBOL.match(query, start)) is not None:
        return Token(Kind.SYMBOL, symbol[0], Span(start, symbol.end()))
    raise QueryError(f"unexpected character {char!r}", query=query, start=start, end=start + 1)


def _number(query: str, start: int) -> Token:
    if (duration := _DURATION.match(query, start)) is not None:
        span = Span(start, duration.end())
        try:
            return Token(Kind.DURATION, duration[0], span, number=parse_duration(duration[0]))
        except ValueError as error:
            raise QueryError(str(error), query=query, start=span.start, end=span.end) from error
    number = _NUMBER.match(query, start)
    if number is None:
        bad = _BAD_NUMBER.match(query, start)
        text = bad[0] if bad is not None else query[start]
        raise QueryError(f"bad number or duration syntax: {text!r}", query=query, start=start, end=start + len(text))
    return Token(Kind.NUMBER, number[0], Span(start, number.end()), number=_value(number[0], query, start))


def _value(text: str, query: str, start: int) -> float:
    digits = text.replace("_", "")
    try:
        if digits[:2].lower() == "0x":
            return float(int(digits, 16))
        if len(digits) > 1 and digits[0] == "0" and digits.isdigit():
            return float(int(digits, 8))
        return float(digits)
    except (ValueError, OverflowError) as error:
        raise QueryError(f"bad number: {text!r}", query=query, start=start, end=start + len(text)) from error


def _string(query: str, start: int) -> Token:
    found = _QUOTED[query[start]].match(query, start)
    if found is None:
        end = query.find("\n", start)
        end = len(query) if end < 0 or query[start] == "`" else end
        raise QueryError("unterminated quoted string", query=query, start=start, end=end)
    span = Span(start, found.end())
    raw = found[1]
    value = raw if query[start] == "`" else _unescaped(raw, query, span)
    return Token(Kind.STRING, found[0], span, string=value)


def _unescaped(raw: str, query: str, span: Span) -> str:
    """Go's escapes. Bytes written one by one (`\\xc3\\xa4`) make up UTF-8 together."""
    if "\\" not in raw:
        return raw
    parts: list[bytes] = []
    position = 0
    for escape in _ESCAPE.finditer(raw):
        parts += (raw[position : escape.start()].encode("utf-8", "surrogatepass"), _escaped(escape[1], query, span))
        position = escape.end()
    parts.append(raw[position:].encode("utf-8", "surrogatepass"))
    return b"".join(parts).decode("utf-8", "replace")


def _escaped(code: str, query: str, span: Span) -> bytes:
    if code in _SIMPLE:
        return bytes((_SIMPLE[code],))
    if code[0] in "uU" and len(code) > 1 and not 0xD800 <= (point := int(code[1:], 16)) < 0xE000 and point < 0x110000:
        return chr(point).encode()
    if code[0] == "x" and len(code) > 1:
        return bytes((int(code[1:], 16),))
    if len(code) == 3 and int(code, 8) < 256:
        return bytes((int(code, 8),))
    raise QueryError(f"unknown escape sequence \\{code}", query=query, start=span.start, end=span.end)
