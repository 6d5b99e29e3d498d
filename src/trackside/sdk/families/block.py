"""A `with` block, an `async with` block and a decorator in one, of which only the begin and the end matter."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any, TypeVar

from trackside.sdk.guard import Guard

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])
End = Callable[[BaseException | None], object]
"""Told the error that the block was left with."""


class Block:
    """Begins anew each time that it is entered. Errors of `begin` and `end` stay here."""

    def __init__(self, guard: Guard, begin: Callable[[], End]) -> None:
        self._guard = guard
        self._begin = begin
        self._ends: list[End | None] = []

    def __enter__(self) -> Block:
        end = None
        try:
            end = self._begin()
        except Exception as error:  # noqa: BLE001 - the host must not notice us
            self._guard.failed("begin a measurement", error)
        self._ends.append(end)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        end = self._ends.pop() if self._ends else None
        if end is None:
            return
        try:
            end(error)
        except Exception as ours:  # noqa: BLE001 - the host must not notice us
            self._guard.failed("end a measurement", ours)

    async def __aenter__(self) -> Block:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: object) -> None:
        self.__exit__(kind, error, at)

    def __call__(self, function: FunctionT) -> FunctionT:
        @wraps(function)
        def measured(*args: Any, **named: Any) -> Any:
            with Block(self._guard, self._begin):
                return function(*args, **named)

        @wraps(function)
        async def measured_async(*args: Any, **named: Any) -> Any:
            with Block(self._guard, self._begin):
                return await function(*args, **named)

        return measured_async if iscoroutinefunction(function) else measured  # type: ignore[return-value]
