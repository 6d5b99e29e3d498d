"""Every exception Trackside raises on purpose. Anything else that escapes is a bug."""

from __future__ import annotations


class TracksideError(Exception):
    """Base class: `except TracksideError` catches what a caller can act upon."""


class UnhealthyError(TracksideError):
    """For health checks: its text is shown as it is, as the sentence that says what is wrong."""


class ConfigError(TracksideError):
    """The configuration says something we cannot do; shown to the operator as it is.

    The text names the file, the line and the key, the offending value, and what was expected.
    """


class ParseError(TracksideError):
    """Text in a known format that does not follow it: an exposition, an envelope, a rule file."""

    def __init__(self, reason: str, *, line: int = 0, text: str = "") -> None:
        """`line` is 0 for what has no lines: a binary message."""
        super().__init__((f"line {line}: " if line else "") + reason + (f": {text[:80]!r}" if text else ""))
        self.reason = reason
        self.line = line


class QueryError(TracksideError):
    """A PromQL or LogQL expression that is wrong, too big or too slow; safe to show to the user."""

    def __init__(self, reason: str, *, query: str = "", start: int | None = None, end: int | None = None) -> None:
        """`start` and `end` are character offsets into `query`: the part that is wrong, end exclusive."""
        super().__init__(reason)
        self.reason = reason
        self.query = query
        self.start = start
        self.end = end

    @property
    def position(self) -> tuple[int, int] | None:
        """Line and column of the offending text, both from 1; None when the error is about the whole query."""
        if self.start is None:
            return None
        before = self.query[: self.start]
        return before.count("\n") + 1, self.start - (before.rfind("\n") + 1) + 1

    def __str__(self) -> str:
        return self.reason if self.position is None else "{}:{}: {}".format(*self.position, self.reason)

    def marked(self) -> str:
        """The offending line with carets under the offending part, for terminals and pages; "" without a position."""
        if self.start is None or self.position is None:
            return ""
        line_number, column = self.position
        line = self.query.split("\n")[line_number - 1]
        width = max(1, min((self.end or self.start + 1) - self.start, len(line) - column + 1))
        return f"{line}\n{' ' * (column - 1)}{'^' * width}"


class QueryLimitError(QueryError):
    """A query past a limit: its text says which limit, its value, and how to ask for less."""


class QueryTimeoutError(QueryError):
    """A query that took longer than it may."""


class LimitError(TracksideError):
    """Input past a limit (series, label length, body size): refused, counted, and named."""


class TemplateError(TracksideError):
    """A notification or rule template that does not parse or cannot be rendered; says where and why."""

    def __init__(self, reason: str, *, name: str, line: int, column: int) -> None:
        super().__init__(f"template {name}:{line}:{column}: {reason}")
        self.reason = reason
        self.name = name
        self.line = line
        self.column = column


class DeliveryError(TracksideError):
    """A receiver did not take a notification."""

    def __init__(
        self,
        reason: str,
        *,
        retry: bool,
        retry_after_s: float | None = None,
        maybe_sent: bool = False,
        status: int | None = None,
    ) -> None:
        """`retry`: trying again may help. `retry_after_s`: how long the receiver asked us to wait. `maybe_sent`: the
        receiver may have taken it all the same (a time-out after the request was written, a gateway that gave up).
        `status`: of the answer, if there was one by HTTP."""
        super().__init__(reason)
        self.reason = reason
        self.retry = retry
        self.retry_after_s = retry_after_s
        self.maybe_sent = maybe_sent
        self.status = status


class StorageError(TracksideError):
    """Stored data that cannot be read; the text names the block or the row."""


class SourceError(TracksideError):
    """A job back-end cannot be reached, or does not answer as expected; the text says what, where, and what to do."""
