"""Health checks of the application: run together, each with a deadline, none ever twice at once."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from threading import Lock, Thread
from typing import TYPE_CHECKING

from trackside.model.cheap_typing import NamedTuple
from trackside.model.health import DRAINING, SERVING, STARTING, CheckResult, HealthReport
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from asyncio import Future as AsyncFuture
    from concurrent.futures import Future

Probe = Callable[[], object]
"""Healthy unless it returns False or raises. May return an awaitable of the same."""

_RESERVED = frozenset({"status", "errors"})
_ERROR_LENGTH = 200


class Check(NamedTuple):
    name: str
    probe: Probe
    live: bool = False
    """Whether a failure means that only a restart helps."""
    critical: bool = True
    timeout_s: float = 1.0
    cache_s: float = 1.0
    """How long an answer stands: health endpoints are open to the world, a database behind them should not be."""

    def refuse_nonsense(self) -> None:
        if self.name in _RESERVED or not self.name:
            raise ValueError(f"a health check cannot be called {self.name!r}: the report needs that key itself")
        if not callable(self.probe):
            raise TypeError(
                f"health check {self.name!r}: expected something to call, got {self.probe!r};"
                " pass redis.ping, not redis.ping()"
            )
        if self.timeout_s <= 0 or self.cache_s < 0:
            raise ValueError(f"health check {self.name!r}: timeout_s must be above 0 and cache_s not below")

    def result(self, error: str, duration_s: float) -> CheckResult:
        return CheckResult(self.name, not error, duration_s, error, self.critical)


class _Run:
    """One call of a probe, shared by everyone who asks while it lasts."""

    def __init__(self, check: Check, started_s: float) -> None:
        self.check = check
        self.started_s = started_s
        from concurrent.futures import Future  # noqa: PLC0415 - with logging in it, a tenth of our whole import

        self.answer: Future[CheckResult] = Future()
        self.process_id = os.getpid()

    def stands(self, now_s: float) -> bool:
        """Whether this run is the answer, or will be: it is fresh, or it still hangs."""
        if self.process_id != os.getpid():  # a fork copies the run, but not the thread that would end it
            return False
        return not self.answer.done() or now_s - self.started_s < self.check.cache_s

    def remaining_s(self, now_s: float) -> float:
        return max(0.0, self.started_s + self.check.timeout_s - now_s)

    def outcome(self, now_s: float) -> CheckResult:
        if self.answer.done():
            return self.answer.result()
        return self.check.result(_no_answer(self.check), now_s - self.started_s)


class Health:
    """The checks of one application. `/health`, `/health/live` and `/health/ready` show what they say."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._lock = Lock()
        self._phase = SERVING
        self._checks: dict[str, Check] = {}
        self._runs: dict[str, _Run] = {}
        self._latest: dict[str, CheckResult] = {}

    def check(
        self,
        name: str,
        probe: Probe,
        *,
        live: bool = False,
        critical: bool = True,
        timeout_s: float = 1.0,
        cache_s: float = 1.0,
    ) -> None:
        """Ask `probe` whenever someone asks for the health. Of two checks with one name the later stands.

        A plain function runs on a thread of its own, a coroutine function on the event loop of whoever asks. One that
        does not answer within `timeout_s` is reported so, and not called again while it still hangs.

        `live`: its failure fails `/health/live` too, so that the orchestrator restarts the process.
        `critical=False`: its failure is shown, and the service stays ready.

        Raises:
            TypeError, ValueError: a mistake in the call itself.
        """
        check = Check(name, probe, live, critical, timeout_s, cache_s)
        check.refuse_nonsense()
        with self._lock:
            self._checks[name] = check
            self._runs.pop(name, None)
            self._latest.pop(name, None)

    def starting(self) -> None:
        """Not ready until `started`: caches are being filled, a model loads. Checks are asked all the same."""
        self._phase = STARTING

    def started(self) -> None:
        """From here on the checks decide. So it is from the beginning, unless the application says `starting`."""
        self._phase = SERVING

    def draining(self) -> None:
        """Not ready any more: the process is about to end, and what it has begun it ends. It stays alive meanwhile."""
        self._phase = DRAINING

    def report(self, *, live_only: bool = False) -> HealthReport:
        """Blocks until each check has answered or is past its deadline."""
        from concurrent.futures import wait  # noqa: PLC0415 - see `_Run`

        runs = [self._run(check, None) for check in self._selected(live_only)]
        for run in runs:
            wait([run.answer], run.remaining_s(self._now_s()))
        return self._reported(runs)

    async def report_async(self, *, live_only: bool = False) -> HealthReport:
        """As `report`, for an event loop, which it never blocks."""
        import asyncio  # noqa: PLC0415 - costs a synchronous application a third of our whole import

        loop = asyncio.get_running_loop()
        runs = [self._run(check, loop) for check in self._selected(live_only)]
        for run in runs:
            remaining_s = run.remaining_s(self._now_s())
            if not run.answer.done() and remaining_s:
                await asyncio.wait([_on_loop(run.answer, loop)], timeout=remaining_s)
        return self._reported(runs)

    def collect(self) -> Iterator[MetricFamily]:
        """What the checks said last, without asking them."""
        with self._lock:
            latest = list(self._latest.values())
        samples = [Sample("health_check_up", Labels.of(check=result.name), float(result.healthy)) for result in latest]
        if samples:
            help = "Whether the health check said yes when it was last asked."
            yield MetricFamily("health_check_up", MetricType.GAUGE, help, samples)

    def _selected(self, live_only: bool) -> list[Check]:
        with self._lock:
            return [check for check in self._checks.values() if check.live or not live_only]

    def _run(self, check: Check, loop: AbstractEventLoop | None) -> _Run:
        now_s = self._now_s()
        with self._lock:
            run = self._runs.get(check.name)
            if run is not None and run.stands(now_s):
                return run
            run = self._runs[check.name] = _Run(check, now_s)
        if loop is not None and _is_coroutine_function(check.probe):
            _start_task(run, check.probe, loop)
        else:
            self._start_thread(run, loop)
        return run

    def _start_thread(self, run: _Run, loop: AbstractEventLoop | None) -> None:
        check = run.check
        try:
            # Not a pool: its threads would be joined at exit, where a probe that hangs would hang the process.
            Thread(target=_ask, args=(run, loop), name=f"trackside-health-{check.name}", daemon=True).start()
        except Exception as error:  # noqa: BLE001 - the system has no thread to give, or the interpreter ends
            run.answer.set_result(check.result(f"could not be asked: {_sentence(error)}", 0.0))
            with self._lock:
                # Whoever comes next asks anew.
                if self._runs.get(check.name) is run:
                    del self._runs[check.name]

    def _reported(self, runs: list[_Run]) -> HealthReport:
        now_s = self._now_s()
        results = tuple(run.outcome(now_s) for run in runs)
        with self._lock:
            self._latest.update({result.name: result for result in results if result.name in self._checks})
        return HealthReport(results, self._phase)


def _ask(run: _Run, loop: AbstractEventLoop | None) -> None:
    """Call a probe on this thread. If it returns an awaitable, that goes to `loop`, whose clients it may use."""
    started_s = time.perf_counter()
    try:
        outcome = run.check.probe()
        if isinstance(outcome, Awaitable):
            if loop is None:
                import asyncio  # noqa: PLC0415 - see report_async

                asyncio.run(_awaited(run, lambda: outcome))
            else:
                loop.call_soon_threadsafe(_start_task, run, lambda: outcome, loop)
            return
        error = "" if outcome is not False else "the probe returned False"
    except BaseException as raised:  # noqa: BLE001 - a probe is the user's code, and whatever it raises is its answer
        error = _sentence(raised)
    if not run.answer.done():
        run.answer.set_result(run.check.result(error, time.perf_counter() - started_s))


def _start_task(run: _Run, make: Callable[[], object], loop: AbstractEventLoop) -> None:
    task = loop.create_task(_awaited(run, make))
    # The loop holds its tasks weakly; the answer everyone waits for holds this one.
    run.answer.add_done_callback(lambda answer, task=task: None)  # type: ignore[misc]


async def _awaited(run: _Run, make: Callable[[], object]) -> None:
    import asyncio  # noqa: PLC0415 - see report_async

    started_s = time.perf_counter()
    error = "the event loop ended before the probe did"
    try:
        async with asyncio.timeout(run.check.timeout_s) as deadline:
            outcome = make()
            if isinstance(outcome, Awaitable):
                outcome = await outcome
        error = "" if outcome is not False else "the probe returned False"
    except asyncio.CancelledError:
        raise
    except BaseException as raised:  # noqa: BLE001 - see _ask
        error = _no_answer(run.check) if deadline.expired() else _sentence(raised)
    finally:
        run.answer.set_result(run.check.result(error, time.perf_counter() - started_s))


def _on_loop(answer: Future[CheckResult], loop: AbstractEventLoop) -> AsyncFuture[None]:
    """A future of the loop that is done when `answer` is. asyncio's own would log if the loop ended in between."""
    waiter = loop.create_future()

    def wake() -> None:
        if not waiter.done():
            waiter.set_result(None)

    def answered(_: object) -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(wake)

    answer.add_done_callback(answered)
    return waiter


def _is_coroutine_function(probe: Probe) -> bool:
    while isinstance(probe, partial):
        probe = probe.func
    import inspect  # noqa: PLC0415 - a tenth of our whole import

    return inspect.iscoroutinefunction(probe) or inspect.iscoroutinefunction(getattr(probe, "__call__", None))  # noqa: B004


def _no_answer(check: Check) -> str:
    return f"no answer within {check.timeout_s} s"


def _sentence(error: BaseException) -> str:
    """Type and text on one line, without secrets: health endpoints are open to the world.

    A sentence that was written to be shown stands alone.
    """
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001 - an exception whose text cannot be made is an answer too
        text = ""
    from trackside.exceptions import UnhealthyError  # noqa: PLC0415 - not before something fails

    shown = text or type(error).__name__
    if text and not isinstance(error, UnhealthyError):
        shown = f"{type(error).__name__}: {text}"
    from trackside.model.secret_keys import SecretKeys  # noqa: PLC0415 - as above
    from trackside.model.secret_texts import without_secrets  # noqa: PLC0415 - as above

    return without_secrets(shown, SecretKeys())[:_ERROR_LENGTH]
