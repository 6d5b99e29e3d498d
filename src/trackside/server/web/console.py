"""What the pages and the API may see of the server: the backend, and the latest facts of each subsystem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from trackside.model.alerts import NotificationRecord
from trackside.model.rules import RuleGroupStatus
from trackside.model.targets import TargetStatus
from trackside.server.alerting.dispatcher import Dispatcher
from trackside.server.backend import MetricsBackend
from trackside.server.backtest.desk import BacktestDesk
from trackside.server.clock import Clock
from trackside.server.jobs.actions.actions import JobActions
from trackside.server.jobs.watch import JobsWatch
from trackside.server.probes.heartbeats.book import HeartbeatView
from trackside.server.probes.heartbeats.store import StoredPing
from trackside.server.probes.source import CheckView
from trackside.server.probes.store import Change
from trackside.server.remote_write.receiver import RemoteWriteReceiver


def _no_jobs() -> None:
    return None


def _no_job_actions() -> None:
    return None


def _no_alerting() -> None:
    return None


def _nothing(*_: object) -> tuple[()]:
    return ()


@dataclass(frozen=True, slots=True)
class Console:
    """Handed to every page; all callables are cheap and safe to call on the event loop."""

    backend: MetricsBackend
    clock: Clock
    targets: Callable[[], Sequence[TargetStatus]]
    """Active targets, in the order of the configuration."""
    rule_groups: Callable[[], Sequence[RuleGroupStatus]]
    notifications: Callable[[int], Sequence[NotificationRecord]]
    """The newest n notifications, newest first."""
    started_ms: int
    version: str
    external_url: str
    """Where people reach this server, without a trailing slash."""
    config_text: Callable[[], str]
    """The configuration in force, secrets replaced by `<secret>`."""
    jobs: Callable[[], JobsWatch | None] = _no_jobs
    """What watches the job queues; None where the configuration has none. To be asked on a thread: it reads SQLite."""
    job_actions: Callable[[], JobActions | None] = _no_job_actions
    """What may be done to jobs; to be asked on a thread, as `jobs`."""
    alerting: Callable[[], Dispatcher | None] = _no_alerting
    """What routes alerts and tells people; None until the server has started."""
    checks: Callable[[], Sequence[CheckView]] = _nothing
    """In the order of the configuration."""
    heartbeats: Callable[[], Sequence[HeartbeatView]] = _nothing
    check_changes: Callable[[str, int], Sequence[Change]] = _nothing
    """Of a check, since a time; to be asked on a thread: it reads SQLite."""
    heartbeat_pings: Callable[[str, int], Sequence[StoredPing]] = _nothing
    """The last n of a heartbeat; to be asked on a thread."""
    doubt: Callable[[], str] = str
    """Why what checks say is doubtful; "" when it is not."""
    stands_for_alertmanager: bool = False
    """Whether the server runs with an alertmanager.yml, by somebody who has an Alertmanager in mind."""
    metadata: Callable[[], Mapping[str, Iterable[tuple[str, str, str]]]] = dict
    """Metric family to what its targets say of it: (type, help, unit)."""
    backtests: BacktestDesk | None = None
    """Runs rules on what is stored; None where that is kept elsewhere."""
    writes: RemoteWriteReceiver | None = None
    """Takes what is sent by remote write."""
