"""A time-out that is the target's, not ours: while this process stands still, nothing that comes is taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

USUALLY_LATE_S = 0.01
"""By so much any timer may be late."""
MOST_S = 1.0


@asynccontextmanager
async def answer_within(timeout_s: float) -> AsyncIterator[None]:
    """As `asyncio.timeout`; but when this process stood still at the end of the time, it gets as long again, and so
    takes what had come in time.

    Raises:
        TimeoutError: nothing came.
    """
    loop = asyncio.get_running_loop()
    due_s = loop.time() + timeout_s
    async with asyncio.timeout(None) as limit:
        timer = loop.call_at(due_s, _end, loop, limit, due_s)
        try:
            yield
        finally:
            timer.cancel()


def _end(loop: asyncio.AbstractEventLoop, limit: asyncio.Timeout, due_s: float) -> None:
    now_s = loop.time()
    late_s = now_s - due_s
    # Timers run before sockets are looked at, so that what has come is not known yet.
    limit.reschedule(now_s + (min(late_s, MOST_S) if late_s > USUALLY_LATE_S else 0.0))
