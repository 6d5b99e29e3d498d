"""The life of a heartbeat: what pings say, and what their absence says. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from zoneinfo import ZoneInfo

from trackside.server.probes.heartbeats.config import HeartbeatConfig
from trackside.server.probes.heartbeats.cron import Cron

MAX_RUNS = 20


class PingKind(Enum):
    START = "start"
    SUCCESS = "success"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Ping:
    kind: PingKind
    at_ms: int
    run_id: str = ""
    note: str = ""
    """What the job had to say: the beginning of the body."""


@dataclass(frozen=True, slots=True)
class Plan:
    """When a job is to be heard."""

    period_ms: int = 0
    cron: Cron | None = None
    zone: ZoneInfo | None = None
    """Of `cron`."""
    grace_ms: int = 3_600_000
    max_run_ms: int = 3_600_000

    @classmethod
    def of(cls, config: HeartbeatConfig) -> Plan:
        cron = Cron.parsed(config.schedule) if config.schedule else None
        return cls(config.period, cron, ZoneInfo(config.timezone), config.grace, config.most_run_ms)

    def next_ms(self, after_ms: int) -> int | None:
        """When it is expected next, after it was heard at `after_ms`; None: never again."""
        if self.cron is not None and self.zone is not None:
            return self.cron.next_ms(after_ms, self.zone)
        return after_ms + self.period_ms


@dataclass(frozen=True, slots=True)
class Run:
    run_id: str
    started_ms: int


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What is known of a job from its pings."""

    created_ms: int
    """When it was first configured: from then on it is expected."""
    runs: tuple[Run, ...] = ()
    """Started and not ended, in the order in which they were told."""
    last_ping_ms: int | None = None
    last_end_ms: int | None = None
    last_success_ms: int | None = None
    failed: bool = False
    """The last run that ended."""
    last_duration_ms: int | None = None
    """From start to end, of the last run of which both were told."""
    last_note: str = ""
    successes: int = 0
    failures: int = 0
    overlaps: int = 0
    """Starts while another run was going on."""


class Status(Enum):
    NEW = "new"
    """Never heard, and not yet missed."""
    UP = "up"
    LATE = "late"
    """Expected by now, and within its grace."""
    DOWN = "down"


class Trouble(Enum):
    NONE = "none"
    MISSED = "missed"
    FAILED = "failed"
    TOO_LONG = "too_long"


@dataclass(frozen=True, slots=True)
class HeartbeatNow:
    """A heartbeat at one moment."""

    status: Status
    trouble: Trouble
    expected_ms: int | None
    """When the next end of a run is to be heard, grace not counted."""
    running: int
    overlapping: bool
    too_long: bool
    """A run has been going on for longer than it may: it hangs, or died without a word."""


def pinged(heartbeat: Heartbeat, ping: Ping, plan: Plan) -> Heartbeat:
    heartbeat = replace(heartbeat, last_ping_ms=ping.at_ms, last_note=ping.note)
    if ping.kind is PingKind.START:
        return _started(heartbeat, ping, plan)
    return _ended(heartbeat, ping, plan)


def _started(heartbeat: Heartbeat, ping: Ping, plan: Plan) -> Heartbeat:
    same = _run_of(heartbeat, ping)
    if same is not None and ping.run_id:
        # Told twice: a client that got no answer asks again.
        return heartbeat
    overlaps = any(not _is_too_long(run, plan, ping.at_ms) for run in heartbeat.runs)
    # Without an id, a new start is all that will ever be known of the run before.
    others = [run for run in heartbeat.runs if run is not same]
    runs = (*others, Run(ping.run_id, ping.at_ms))[-MAX_RUNS:]
    return replace(heartbeat, runs=runs, overlaps=heartbeat.overlaps + overlaps)


def _ended(heartbeat: Heartbeat, ping: Ping, plan: Plan) -> Heartbeat:
    failed = ping.kind is PingKind.FAIL
    run = _run_of(heartbeat, ping)
    runs = tuple(one for one in heartbeat.runs if one is not run)
    if not failed:
        # Older runs that should have ended long ago died without a word; what came after them is well.
        begun_ms = run.started_ms if run is not None else ping.at_ms
        runs = tuple(one for one in runs if not (one.started_ms < begun_ms and _is_too_long(one, plan, ping.at_ms)))
    return replace(
        heartbeat,
        runs=runs,
        failed=failed,
        last_end_ms=ping.at_ms,
        last_success_ms=heartbeat.last_success_ms if failed else ping.at_ms,
        last_duration_ms=max(0, ping.at_ms - run.started_ms) if run is not None else heartbeat.last_duration_ms,
        successes=heartbeat.successes + (not failed),
        failures=heartbeat.failures + failed,
    )


def _run_of(heartbeat: Heartbeat, ping: Ping) -> Run | None:
    return next((run for run in reversed(heartbeat.runs) if run.run_id == ping.run_id), None)


def _is_too_long(run: Run, plan: Plan, now_ms: int) -> bool:
    return now_ms - run.started_ms >= plan.max_run_ms


def heartbeat_now(heartbeat: Heartbeat, plan: Plan, now_ms: int) -> HeartbeatNow:
    """A run that ends counts from its end on; a failed one makes it down until one succeeds."""
    heard_ms = heartbeat.last_end_ms
    expected_ms = plan.next_ms(heartbeat.created_ms if heard_ms is None else heard_ms)
    too_long = any(_is_too_long(run, plan, now_ms) for run in heartbeat.runs)
    trouble = Trouble.NONE
    if too_long:
        trouble = Trouble.TOO_LONG
    elif heartbeat.failed:
        trouble = Trouble.FAILED
    elif _is_missed(heartbeat, plan, expected_ms, now_ms):
        trouble = Trouble.MISSED
    return HeartbeatNow(
        _status(heartbeat, trouble, expected_ms, now_ms),
        trouble,
        expected_ms,
        len(heartbeat.runs),
        len(heartbeat.runs) > 1,
        too_long,
    )


def _is_missed(heartbeat: Heartbeat, plan: Plan, expected_ms: int | None, now_ms: int) -> bool:
    if expected_ms is None or now_ms < expected_ms + plan.grace_ms:
        return False
    # One that began in time may take as long as it may.
    return not any(run.started_ms < expected_ms + plan.grace_ms for run in heartbeat.runs)


def _status(heartbeat: Heartbeat, trouble: Trouble, expected_ms: int | None, now_ms: int) -> Status:
    if trouble is not Trouble.NONE:
        return Status.DOWN
    if expected_ms is not None and now_ms >= expected_ms and not heartbeat.runs:
        return Status.LATE
    return Status.NEW if heartbeat.last_end_ms is None and not heartbeat.runs else Status.UP
