"""Which attempt a report or a sample tells of: one that is known already, or a new one."""

from __future__ import annotations

from collections.abc import Iterable

from trackside.jobs.ledger.runs import Outcome, Run

APART_MS = 60_000
"""How far two tellers' clocks may differ about the end of one attempt whose number neither knows."""


def same_run(known: Iterable[Run], told: Run) -> Run | None:
    """The one of `known`, all of one job, that `told` is about."""
    fitting = [run for run in known if _is_same(run, told)]
    return min(fitting, key=lambda run: abs(run.ended_ms - told.ended_ms), default=None)


def _is_same(run: Run, told: Run) -> bool:
    both_numbered = run.attempt is not None and told.attempt is not None
    if both_numbered and run.attempt != told.attempt:
        return False
    same_teller = bool(run.origins & told.origins)
    if run.started_ms is not None and told.started_ms is not None:
        if run.started_ms == told.started_ms:
            return True
        # It began after the other had ended: a job that failed for good and was queued again by hand starts anew under
        # the number it had.
        if _began_ms(told) >= run.ended_ms + (0 if same_teller else APART_MS):
            return False
        if same_teller:
            return True
    if same_teller:
        return both_numbered or run.ended_ms == told.ended_ms
    return both_numbered or (abs(run.ended_ms - told.ended_ms) <= APART_MS and not _contradict(run, told))


def _contradict(run: Run, told: Run) -> bool:
    """Two tellers, each with an attempt of its own: one was over before the other began, and they ended differently. A
    job that is tried again at once has several within what clocks may differ by."""
    if run.started_ms is None or told.started_ms is None:
        return False
    if _began_ms(told) < run.ended_ms and _began_ms(run) < told.ended_ms:
        return False
    outcomes = {run.outcome, told.outcome}
    return len(outcomes) > 1 and bool(outcomes & {Outcome.SUCCEEDED, Outcome.RETRIED})


def _began_ms(run: Run) -> int:
    """A clock that is ahead says that it began later than it ended, since nothing has ended in the future."""
    assert run.started_ms is not None
    return min(run.started_ms, run.ended_ms)
