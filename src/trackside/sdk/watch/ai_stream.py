"""Looks on while the application reads a stream or a raw response of a provider's library.

The object stays itself and of its type: it is given a subclass of its class, since `for` looks up its methods there.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import cache, wraps
from inspect import isawaitable, iscoroutinefunction
from typing import Any

from trackside.sdk.watch.ai_query import Query

_QUERY = "_trackside_query"


def observe(answer: Any, query: Query) -> None:
    """Whatever a query was answered with. Never raises."""
    with query.guard.shielded("watch an answer"):
        if _is_stream(answer):
            _observe_stream(answer, query)
        elif callable(getattr(type(answer), "parse", None)) and hasattr(answer, "http_response"):
            _observe_raw(answer, query)
        else:
            query.answer(answer)


def _is_stream(thing: object) -> bool:
    return hasattr(type(thing), "__next__") or hasattr(type(thing), "__anext__")


def _observe_stream(stream: Any, query: Query) -> None:
    if hasattr(stream, _QUERY):
        return
    kind: Any = type(stream)
    is_async = hasattr(kind, "__anext__")
    subclass = _async_subclass(kind) if is_async else _subclass(kind)
    setattr(stream, _QUERY, query)
    stream.__class__ = subclass
    if not isinstance(stream, kind):
        # Anthropic's before 1.0 take no subclass for one of theirs; they have kept what `for` reads under one name.
        stream.__class__ = kind
        read = _read_async if is_async else _read
        stream._iterator = read(stream._iterator, query)
        stream.close = _closing(stream.close, query)
    _when_gone(stream, query.closed)


def _observe_raw(response: Any, query: Query) -> None:
    """A response that is parsed when, and if, the application asks for it."""
    parse = response.parse
    query.received()
    seen: list[bool] = []

    def see(parsed: Any) -> Any:
        seen.append(True)
        observe(parsed, query)
        return parsed

    async def see_later(parsed: Awaitable[Any]) -> Any:
        return see(await parsed)

    @wraps(parse)
    def observed_parse(*args: Any, **named: Any) -> Any:
        parsed = parse(*args, **named)
        return see_later(parsed) if isawaitable(parsed) else see(parsed)

    response.parse = observed_parse
    # A stream that was parsed from it outlives it and ends the query itself.
    _when_gone(response, lambda: None if seen else query.dropped())


def _when_gone(thing: object, call: Callable[[], None]) -> None:
    weakref.finalize(thing, call).atexit = False


@cache
def _subclass(kind: Any) -> Any:
    def watched_iter(self: Any) -> Iterator[Any]:
        return _read(kind.__iter__(self), getattr(self, _QUERY))

    def watched_next(self: Any) -> Any:
        query: Query = getattr(self, _QUERY)
        try:
            event = kind.__next__(self)
        except StopIteration:
            query.exhausted()
            raise
        except BaseException as error:
            query.broken(error)
            raise
        query.event(event)
        return event

    return _derived(kind, __iter__=watched_iter, __next__=watched_next)


@cache
def _async_subclass(kind: Any) -> Any:
    def watched_aiter(self: Any) -> AsyncIterator[Any]:
        return _read_async(kind.__aiter__(self), getattr(self, _QUERY))

    async def watched_anext(self: Any) -> Any:
        query: Query = getattr(self, _QUERY)
        try:
            event = await kind.__anext__(self)
        except StopAsyncIteration:
            query.exhausted()
            raise
        except BaseException as error:
            query.broken(error)
            raise
        query.event(event)
        return event

    return _derived(kind, __aiter__=watched_aiter, __anext__=watched_anext)


def _read(events: Iterator[Any], query: Query) -> Iterator[Any]:
    try:
        for event in events:
            query.event(event)
            yield event
    except Exception as error:
        query.broken(error)
        raise
    # Not when this generator is closed: a `for` that was left may be followed by another that reads on.
    query.exhausted()


async def _read_async(events: AsyncIterator[Any], query: Query) -> AsyncIterator[Any]:
    try:
        async for event in events:
            query.event(event)
            yield event
    except GeneratorExit:
        raise
    except BaseException as error:
        query.broken(error)
        raise
    query.exhausted()


def _derived(kind: Any, **methods: Callable[..., Any]) -> type[Any]:
    if hasattr(kind, "close"):
        methods["close"] = _closing_method(kind.close)
    same = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    return type(kind.__name__, (kind,), {**same, **methods})


def _closing_method(close: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(close)
    def watched_close(self: Any, *args: Any, **named: Any) -> Any:
        getattr(self, _QUERY).closed()
        return close(self, *args, **named)

    @wraps(close)
    async def watched_close_async(self: Any, *args: Any, **named: Any) -> Any:
        getattr(self, _QUERY).closed()
        return await close(self, *args, **named)

    return watched_close_async if iscoroutinefunction(close) else watched_close


def _closing(close: Callable[..., Any], query: Query) -> Callable[..., Any]:
    @wraps(close)
    def watched_close(*args: Any, **named: Any) -> Any:
        query.closed()
        return close(*args, **named)

    return watched_close
