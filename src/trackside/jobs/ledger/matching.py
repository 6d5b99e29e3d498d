"""Which attempt a report or a sample tells of: one that is known already, or a new one."""

from __future__ import annotations

from collections.abc import Iterable

from trackside.jobs.ledger.runs import Run

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
        if same_teller and run.started_ms == told.started_ms:
            return True
        # It began after the other had ended: a job that failed for good and was queued again by hand starts anew under
        # the number it had.
        if told.started_ms >= run.ended_ms + (0 if same_teller else APART_MS):
            return False
        if same_teller:
            return True
    if same_teller:
        return both_numbered or run.ended_ms == told.ended_ms
    return both_numbered or abs(run.ended_ms - told.ended_ms) <= APART_MS
