"""What makes a decorator of a `with` block, for functions and coroutine functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from types import TracebackType
from typing import Any, TypeVar

from trackside.model.cheap_typing import Protocol

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class Block(Protocol):
    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None, /
    ) -> None: ...


def around(function: FunctionT, block: Callable[[], Block]) -> FunctionT:
    """`function` within a new block at each call."""

    @wraps(function)
    def within(*args: Any, **named: Any) -> Any:
        with block():
            return function(*args, **named)

    @wraps(function)
    async def within_async(*args: Any, **named: Any) -> Any:
        with block():
            return await function(*args, **named)

    from inspect import iscoroutinefunction  # noqa: PLC0415 - a tenth of our whole import

    return within_async if iscoroutinefunction(function) else within  # type: ignore[return-value]
