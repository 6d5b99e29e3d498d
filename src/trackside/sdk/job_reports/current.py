"""The attempt that the running code belongs to, and what it has spent: at next to no cost where nobody asks."""

from __future__ import annotations

from contextvars import ContextVar
from threading import Lock
from typing import Any, Protocol
from weakref import WeakSet

TYPE_CHECKING = False  # type checkers take it for True

if TYPE_CHECKING:
    from trackside.model.jobs import JobReport

COST, TOKENS = 0, 1
SIZE_BYTES = 2 * 8

CURRENT: ContextVar[Spending | None] = ContextVar("trackside_job_attempt", default=None)


class Spending:
    """Cost and tokens of one attempt. In memory that is shared with another process they outlive this one."""

    def __init__(self, memory: Any = None) -> None:
        """`memory`: writable, of SIZE_BYTES."""
        self._amounts: Any = memoryview(bytearray(SIZE_BYTES) if memory is None else memory)[:SIZE_BYTES].cast("d")
        # Nothing said is something else than nothing spent.
        self._amounts[COST] = self._amounts[TOKENS] = -1.0
        self._lock = Lock()

    def add(self, usd: float | None = None, tokens: float | None = None) -> None:
        """What is no amount is left out."""
        for which, told in ((COST, usd), (TOKENS, tokens)):
            amount = _amount(told)
            if amount is not None:
                with self._lock:
                    self._amounts[which] = max(0.0, self._amounts[which]) + amount

    @property
    def cost_usd(self) -> float | None:
        return self._said(COST)

    @property
    def tokens(self) -> int | None:
        said = self._said(TOKENS)
        return None if said is None else int(said)

    def _said(self, which: int) -> float | None:
        amount: float = self._amounts[which]
        return None if amount < 0 else amount


def _amount(told: Any) -> float | None:
    try:
        amount = float(told)
    except (TypeError, ValueError, OverflowError):
        return None
    return amount if 0 <= amount < float("inf") else None


class Waiting(Protocol):
    """Where reports wait to be sent."""

    def withdraw(self, room: int, timeout_s: float) -> list[JobReport]:
        """Those that are not under way yet, of so many characters; the others are sent, if that is done within the
        time."""
        ...


class _Process:
    """What all monitors of a process have in common: a job may use another than its worker does."""

    def __init__(self) -> None:
        self.spending: Spending | None = None
        """Of the attempt that this process lives for: the threads it starts belong to it, though contexts do not say
        so."""
        self.waiting: WeakSet[Waiting] = WeakSet()


PROCESS = _Process()


def current_spending() -> Spending | None:
    return CURRENT.get() or PROCESS.spending


def spend(usd: float | None, tokens: float | None) -> None:
    """On the attempt around, if there is one. Never raises."""
    spending = current_spending()
    if spending is not None:
        spending.add(usd, tokens)
