"""One query to a language model, from its beginning to its end."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from time import perf_counter
from typing import Any, TypeVar

from trackside.sdk.ai.failures import error_kind, is_cancelled
from trackside.sdk.ai.metrics import AiMetrics
from trackside.sdk.ai.tokens import Tokens, field, token_count, tokens_of
from trackside.sdk.traces.finished import finished, traces_are_on

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_current: ContextVar[AiCall | None] = ContextVar("trackside_ai_call", default=None)


class AiCall:
    """`with monitor.ai("claude-sonnet", operation="chat") as call: …`, also `async with`, and a decorator of functions.

    None of its methods raises.
    """

    def __init__(self, metrics: AiMetrics, model: str, operation: str) -> None:
        self._metrics = metrics
        self.model = metrics.model(model)
        self.operation = metrics.operation(operation)
        self._began_s = perf_counter()
        self._took_s: float | None = None
        self._ended = False
        self._has_first_token = False
        self._has_tokens = False
        self.traced_elsewhere = False
        """Whether the client that asks makes the span of this query itself."""
        self._spent = Tokens()
        self._answered_by = ""
        self._outer: Token[AiCall | None] | None = None

    def tokens(
        self, *, input: int = 0, output: int = 0, cached: int = 0, cache_write: int = 0, reasoning: int = 0
    ) -> None:
        """Add to what the query used. No token is in two of them: `input` is without `cached`, `output` without
        `reasoning`."""
        numbers = (input, output, cached, cache_write, reasoning)
        self.add(Tokens(*map(token_count, numbers)))

    def usage_of(self, answer: object) -> None:
        """Add what an answer of Anthropic's or OpenAI's says that it used, as an object or as decoded JSON."""
        with self._metrics.guard.shielded("read the usage of an answer"):
            found = tokens_of(field(answer, "usage"))
            if found is not None:
                named = field(answer, "model")
                self.add(found, named if isinstance(named, str) else "")

    def add(self, tokens: Tokens, answered_by: str = "") -> None:
        self._has_tokens = True
        self._spent = Tokens(*map(sum, zip(self._spent, tokens, strict=True)))
        self._answered_by = answered_by or self._answered_by
        self._metrics.count_tokens(self.model, tokens, answered_by)

    def first_token(self) -> None:
        """A streamed answer has begun. Only the first time counts."""
        if not self._has_first_token:
            self._has_first_token = True
            self._metrics.first_token.labels(self.model).observe(perf_counter() - self._began_s)

    def failed(self, error: BaseException | str) -> None:
        """For an error that the block does not let out: an exception, or a word of yours."""
        self.end(error)

    def answered(self) -> None:
        """Stop the clock; what the answer says may be read later."""
        self._took_s = perf_counter() - self._began_s

    def end(self, error: BaseException | str | None = None, *, cancelled: bool = False) -> None:
        """`error` is an exception or a kind of failure. Only the first time counts."""
        if self._ended:
            return
        self._ended = True
        with self._metrics.guard.shielded("count a query"):
            if self._took_s is None:
                self.answered()
            if isinstance(error, BaseException) and is_cancelled(error):
                cancelled, error = True, None
            outcome = "error" if error else "cancelled" if cancelled else "success"
            self._metrics.durations.labels(self.model, self.operation).observe(self._took_s or 0.0)
            self._metrics.queries.labels(self.model, self.operation, outcome).inc()
            kind = error if isinstance(error, str) else error_kind(error) if error else ""
            self._span(kind)
            if error:
                self._metrics.errors.labels(self.model, self._metrics.error(kind)).inc()
            elif outcome == "success" and not self._has_tokens:
                self._metrics.unreported.labels(self.model).inc()

    def _span(self, error: str) -> None:
        if traces_are_on() and not self.traced_elsewhere:
            from trackside.sdk.ai.conventions import attributes, span_name  # noqa: PLC0415 - not everybody traces

            about = attributes(self.operation, self.model, self._answered_by, self._spent)
            finished("ai", span_name(self.operation, self.model), self._took_s or 0.0, about, error)

    def __enter__(self) -> AiCall:
        self._began_s = perf_counter()
        self._outer = _current.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        if self._outer is not None:
            try:
                _current.reset(self._outer)
            except ValueError:  # a generator that was entered in one task and is left in another
                _current.set(None)
            self._outer = None
        self.end(error)

    async def __aenter__(self) -> AiCall:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        self.__exit__(kind, error, at)

    def __call__(self, function: FunctionT) -> FunctionT:
        """Each run of `function` is a query; what it returns is asked for its usage.

        Raises:
            TypeError: it is a generator, which ends long after it returned.
        """
        if isgeneratorfunction(function) or isasyncgenfunction(function):
            raise TypeError(f"{function!r} is a generator: use `with monitor.ai(…)` inside of it")

        @wraps(function)
        def measured(*args: Any, **named: Any) -> Any:
            with AiCall(self._metrics, self.model, self.operation) as call:
                answer = function(*args, **named)
                call.usage_of(answer)
                return answer

        @wraps(function)
        async def measured_async(*args: Any, **named: Any) -> Any:
            with AiCall(self._metrics, self.model, self.operation) as call:
                answer = await function(*args, **named)
                call.usage_of(answer)
                return answer

        return measured_async if iscoroutinefunction(function) else measured  # type: ignore[return-value]


def surrounding_call(metrics: AiMetrics, model: object) -> AiCall | None:
    """The block of `monitor.ai` around, if it is about this model: then a watched client tells it what happens, and
    the query is counted once. A block about something else, such as an agent, is counted beside its queries."""
    call = _current.get()
    if call is None or call._metrics is not metrics or not isinstance(model, str):
        return None
    return call if model.startswith(call.model) or call.model.startswith(model) else None
