"""Text of a query to tokens, each with its place."""

from __future__ import annotations

import math
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
        text = self.text if len(self.text) <= MAX_SHOWN_CHARS else self.text[:MAX_SHOWN_CHARS] + "…"
        if self.kind is Kind.STRING:
            return f"string {text}"
        return f'"{text}"' if self.kind is Kind.SYMBOL else f'{self.kind.value} "{text}"'


# Of a token, in an error.
MAX_SHOWN_CHARS = 60


_SPACE = re.compile(r"(?:\s+|#[^\n]*)+")
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdwy]))+(?![\w.])")
_NUMBER = re.compile(
    r"0[xX](?:_?[0-9a-fA-F])+(?![\w.])"
    r"|(?:\d(?:_?\d)*(?:\.(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?(?![\w.])"
)
_OCTAL = re.compile(r"0[0-7]+")
# Both kinds are for whole numbers that a float can hold; far longer ones are refused.
MAX_INTEGER_CHARS = 200
_BAD_NUMBER = re.compile(r"\.?\d[\w.:]*")
_FRACTION = re.compile(r"\d*\.\d*(?:ms|[smhdwy])")
_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_SYMBOL = re.compile(r"=~|!~|==|!=|<=|>=|[-+*/%^<>=(){}\[\],:@]")
_QUOTED = {
    '"': re.compile(r'"((?:[^"\\\n]|\\.)*)"'),
    "'": re.compile(r"'((?:[^'\\\n]|\\.)*)'"),
    "`": re.compile(r"`([^`]*)`"),
}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.S)
_SIMPLE = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "'": 39, '"': 34}

_HINTS = {
    "&": "; both conditions are joined by the word and",
    "|": "; either condition is joined by the word or",
    "!": "; series that another side lacks are found with unless, values by !=",
    "$": "; a dashboard's variables such as $__interval have no value here",
    "“": '; strings stand in straight quotes: "…"',
    "”": '; strings stand in straight quotes: "…"',
}


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
    hint = _HINTS.get(char, "")
    raise QueryError(f"unexpected character {char!r}{hint}", query=query, start=start, end=start + 1)


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
        shown = text[:MAX_SHOWN_CHARS]
        hint = "; a duration is made of whole numbers, such as 1h30m" if _FRACTION.fullmatch(text) else ""
        raise QueryError(
            f'bad number or duration syntax: "{shown}"{hint}', query=query, start=start, end=start + len(text)
        )
    return Token(Kind.NUMBER, number[0], Span(start, number.end()), number=_value(number[0], query, start))


def _value(text: str, query: str, start: int) -> float:
    """As in Go: 0x1F is hexadecimal, 017 octal, and 08, which cannot be octal, decimal."""
    digits = text.replace("_", "")
    base = 16 if digits[:2].lower() == "0x" else 8 if _OCTAL.fullmatch(digits) else 10
    if base == 10:
        value = float(digits)
    else:
        value = float(int(digits, base)) if len(digits) <= MAX_INTEGER_CHARS else math.inf
    if math.isinf(value):
        raise QueryError(f"{text[:MAX_SHOWN_CHARS]} is out of range", query=query, start=start, end=start + len(text))
    return value


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
    quote = query[span.start]
    parts: list[bytes] = []
    position = 0
    for escape in _ESCAPE.finditer(raw):
        value = _escaped(escape[1], quote)
        if value is None:
            start = span.start + 1 + escape.start()
            reason = f"unknown escape sequence {escape[0]}; a backslash itself is written twice"
            raise QueryError(reason, query=query, start=start, end=start + len(escape[0]))
        parts += (raw[position : escape.start()].encode("utf-8", "surrogatepass"), value)
        position = escape.end()
    parts.append(raw[position:].encode("utf-8", "surrogatepass"))
    return b"".join(parts).decode("utf-8", "replace")


def _escaped(code: str, quote: str) -> bytes | None:
    if code in _SIMPLE:
        # The other kind of quote needs no escape, and Go allows none.
        return None if code in "'\"" and code != quote else bytes((_SIMPLE[code],))
    if code[0] in "uU" and len(code) > 1 and not 0xD800 <= (point := int(code[1:], 16)) < 0xE000 and point < 0x110000:
        return chr(point).encode()
    if code[0] == "x" and len(code) > 1:
        return bytes((int(code[1:], 16),))
    if len(code) == 3 and int(code, 8) < 256:
        return bytes((int(code, 8),))
    return None
