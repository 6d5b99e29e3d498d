"""Schedules whose time came and went."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from trackside.jobs.verdicts.facts import SourceView
from trackside.jobs.verdicts.memory import GRACE_MS, SourceMemory
from trackside.jobs.verdicts.verdict import Finding, Severity, Verdict, VerdictKind
from trackside.jobs.verdicts.words import duration


def schedule_findings(view: SourceView, memory: SourceMemory) -> Iterator[Finding]:
    if view.sample is None:
        return
    at_ms = view.sample.at_ms
    listed = {schedule.name: schedule for schedule in view.sample.schedules}
    for name, due in memory.due.items():
        late_ms = at_ms - due.at_ms
        if late_ms <= GRACE_MS:
            continue
        schedule = listed.get(name)
        clock = datetime.fromtimestamp(due.at_ms / 1000, UTC).strftime("%H:%M")
        why = "" if schedule is not None else ", and is no longer listed: its scheduler may be gone"
        yield Finding(
            Verdict(
                VerdictKind.MISSED_SCHEDULE,
                Severity.MEDIUM,
                f"missed/{view.name}/{name}",
                f"The schedule {name} missed {clock} UTC: it is {duration(late_ms / 1000)} late{why}.",
                "See whether the scheduler runs; then start the job by hand, if it cannot wait for the next time.",
                view.name,
                schedule.queue if schedule is not None else "",
                figures={"late_s": late_ms / 1000},
            )
        )
