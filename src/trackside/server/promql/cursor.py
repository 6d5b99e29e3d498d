"""A place in the tokens of a query, and the errors that point at it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from trackside.exceptions import QueryError
from trackside.server.promql.syntax import Span
from trackside.server.promql.tokens import Kind, Token

_BRACKETS = {"(": "left parenthesis", "[": "left bracket", "{": "left brace"}


class Cursor:
    def __init__(self, query: str, tokens: Sequence[Token]) -> None:
        self.query = query
        self._tokens = tokens
        self._index = 0

    @property
    def token(self) -> Token:
        return self._tokens[self._index]

    @property
    def following(self) -> Token:
        return self._tokens[min(self._index + 1, len(self._tokens) - 1)]

    @property
    def end(self) -> int:
        """Where the last taken token ended."""
        return self._tokens[self._index - 1].span.end if self._index else 0

    def take(self) -> Token:
        token = self.token
        if token.kind is not Kind.END:
            self._index += 1
        return token

    def at_symbol(self, *symbols: str) -> bool:
        return self.token.kind is Kind.SYMBOL and self.token.text in symbols

    def at_word(self, *words: str) -> bool:
        return self.token.word in words

    def accept(self, symbol: str) -> bool:
        if self.at_symbol(symbol):
            self._index += 1
            return True
        return False

    def accept_word(self, word: str) -> bool:
        if self.at_word(word):
            self._index += 1
            return True
        return False

    def expect(self, symbol: str, where: str) -> Token:
        if not self.at_symbol(symbol):
            self.fail(f'unexpected {{}} {where}, expected "{symbol}"')
        return self.take()

    def close(self, symbol: str, opened: Token, where: str, expected: str = "") -> Token:
        """Take the bracket that closes `opened`."""
        if self.token.kind is Kind.END:
            self.fail_at(f"unclosed {_BRACKETS[opened.text]}", opened.span)
        if not self.at_symbol(symbol):
            wanted = expected or f'"{symbol}"'
            self.fail(f"unexpected {{}} {where}, expected {wanted}")
        return self.take()

    def expect_end(self) -> None:
        if self.at_symbol(")", "]", "}"):
            self.fail("unexpected {}: nothing is open that it could close")
        if self.at_symbol("="):
            self.fail('unexpected {}; values are compared with "=="')
        if self.at_symbol("=~", "!~"):
            self.fail('unexpected {}; labels are matched inside braces, as in up{job=~"shop.*"}')
        if self.token.kind is not Kind.END:
            self.fail("unexpected {}, expected an operator or the end of the query")

    def fail(self, reason: str) -> NoReturn:
        """Refuse the token at hand; `{}` in `reason` stands for it."""
        self.fail_at(reason.replace("{}", str(self.token), 1), self.token.span)

    def fail_at(self, reason: str, span: Span) -> NoReturn:
        raise QueryError(reason, query=self.query, start=span.start, end=span.end)
