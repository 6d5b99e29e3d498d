"""One query of a watched client of a model provider: reads the answer, whole or in pieces, and reports it."""

from __future__ import annotations

from typing import Protocol

from trackside.sdk.ai.call import AiCall, surrounding_call
from trackside.sdk.ai.failures import CUT_OFF, error_kind
from trackside.sdk.ai.metrics import AiMetrics
from trackside.sdk.ai.tokens import tokens_of


class Reader(Protocol):
    """Knows how one kind of answer of one provider looks. Made anew for each query."""

    usages: tuple[object, ...]
    """What the answer said of its tokens, the newest first."""
    model: str
    """That it says has answered."""
    finished: bool
    """It said that it was through."""
    failure: str
    """It said that it failed, and how."""

    def answer(self, answer: object) -> None: ...

    def event(self, event: object) -> bool:
        """A piece of a stream. True: it holds a token that was generated."""
        ...


class Query:
    """None of its methods raises. It ends once; what comes later is not counted."""

    def __init__(
        self, metrics: AiMetrics, reader: Reader, model: str, operation: str, *, traced_elsewhere: bool = False
    ) -> None:
        self.guard = metrics.guard
        self._reader = reader
        around = surrounding_call(metrics, model)
        self._is_own_call = around is None
        self._call = around or AiCall(metrics, model, operation)
        self._call.traced_elsewhere = traced_elsewhere
        self._ended = False

    def event(self, event: object) -> None:
        with self.guard.shielded("read a stream"):
            if self._reader.event(event):
                self._call.first_token()

    def received(self) -> None:
        """The answer is here, but the application has not looked at it."""
        if self._is_own_call:
            self._call.answered()

    def answer(self, answer: object) -> None:
        with self.guard.shielded("read an answer"):
            self._reader.answer(answer)
        self._end()

    def failed(self, error: BaseException) -> None:
        self._end(error)

    def broken(self, error: BaseException) -> None:
        """A failure in the middle of a stream, where a lost connection is an answer that was cut off."""
        self._end(CUT_OFF if isinstance(error, Exception) and error_kind(error) == "connection" else error)

    def exhausted(self) -> None:
        """The stream has nothing more to give."""
        self._end(None if self._reader.finished else CUT_OFF)

    def closed(self) -> None:
        """The application has closed or dropped the answer, perhaps before its end."""
        self._end(cancelled=not self._reader.finished)

    def dropped(self) -> None:
        """The application never looked at the answer."""
        self._end()

    def _end(self, error: BaseException | str | None = None, *, cancelled: bool = False) -> None:
        if self._ended:
            return
        self._ended = True
        with self.guard.shielded("count a query"):
            tokens = tokens_of(*self._reader.usages)
            if tokens is not None:
                self._call.add(tokens, self._reader.model)
        if self._is_own_call:
            self._call.end(error or self._reader.failure, cancelled=cancelled)
