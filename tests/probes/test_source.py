import asyncio
import socket
from dataclasses import dataclass

import pytest

from trackside.exceptions import ConfigError
from trackside.server.clock import SystemClock
from trackside.server.db.database import Database
from trackside.server.probes.config import CheckConfig, UptimeConfig
from trackside.server.probes.dependencies import inhibitions
from trackside.server.probes.history import ProbeHistory
from trackside.server.probes.maintenance import MaintenanceConfig
from trackside.server.probes.network import Found, Network, SystemResolver
from trackside.server.probes.result import Kind, ProbeResult, Reason
from trackside.server.probes.source import ProbeSource, labels_of
from trackside.server.probes.state import Condition, ProbeState
from trackside.server.probes.uptime import Uptime
from trackside.server.scrape.sources import Page, Source

SECOND = 1_000


class Service:
    """Answers as it is told; counts how often it is asked."""

    def __init__(self):
        self.up, self.asked = True, []

    async def __call__(self):
        reason = Reason.NONE if self.up else Reason.REFUSED
        self.asked.append(reason)
        return ProbeResult(Kind.TCP, self.up, 0.1, reason)


def check(**keys):
    return CheckConfig.model_validate({"name": "it", "url": "tcp://a.example:1", **keys})


def pulled(source, times_s):
    async def scenario():
        return [(await source.pull(second * SECOND)).body.decode() for second in times_s]

    return asyncio.run(scenario())


def source_of(service, maintenance=(), **keys) -> Source:
    return ProbeSource(check(**keys), service, maintenance, Page)


def test_it_is_asked_at_its_interval_and_tells_what_it_knows_in_between():
    service = Service()
    source = source_of(service, interval="5m", timeout="30s")

    pages = pulled(source, range(0, 601, 30))

    assert len(service.asked) == 3
    assert all("\nprobe_success 1\n" in page for page in pages)
    assert "trackside_probe_last_attempt_timestamp_seconds 300\n" in pages[15]


def test_a_failure_is_looked_at_again_soon():
    service = Service()
    source = source_of(service, interval="5m", timeout="10s", retries=2)
    step_s = source.check.step_ms // SECOND

    pulled(source, [0])
    service.up = False
    pages = pulled(source, range(step_s, 361, step_s))

    down = [index for index, page in enumerate(pages) if 'state="down"} 1' in page]
    assert step_s == 15
    assert len(service.asked) == 4
    assert (down[0] + 1) * step_s == 330
    assert source.view().state.condition is Condition.DOWN


def test_scrapes_that_come_a_little_early_or_late_do_not_change_the_rhythm():
    service = Service()
    source = source_of(service, interval="60s", timeout="10s")

    pulled(source, [second + wobble for second in range(0, 600, 15) for wobble in [(second % 7 - 3) / 2]])

    assert len(service.asked) == 10


def test_a_clock_that_is_set_back_keeps_nobody_waiting():
    service = Service()
    pulled(source_of(service), [100_000, 5, 6])

    assert len(service.asked) == 2


def test_maintenance_is_only_for_whom_it_concerns():
    every = MaintenanceConfig.model_validate({"checks": ["it"], "from": "00:00", "to": "24:00"})
    other = every.model_copy(update={"checks": ("other",)})

    assert 'state="maintenance"} 1' in pulled(source_of(Service(), [other, every]), [0])[0]
    assert 'state="up"} 1' in pulled(source_of(Service(), [other]), [0])[0]


def test_labels_say_which_check_it_is():
    labels = labels_of(check(group="shop", labels={"team": "web"}))

    assert labels.as_dict() == {
        "job": "uptime",
        "instance": "tcp://a.example:1",
        "check": "it",
        "group": "shop",
        "team": "web",
    }


# -- All checks together -----------------------------------------------------------------------


@dataclass
class Names:
    """No name can be resolved, until it is said which address they have."""

    known: bool = False

    async def __call__(self, host, port, family):
        raise OSError(113, "no way")


def uptime_of(config, network=None):
    uptime = Uptime(network or Network(SystemClock(), Names()), Page)
    uptime.apply(UptimeConfig.model_validate(config))
    return uptime


CHECKS = [{"name": name, "url": f"tcp://{name}.example:1"} for name in "abc"]


def test_targets_are_what_the_scrape_loop_needs():
    targets = uptime_of({"checks": CHECKS}).targets()

    assert [(one.name, one.url, one.interval_ms) for one in targets[:1]] == [("a", "tcp://a.example:1", 15_000)]
    assert all(0 < one.timeout_ms <= one.interval_ms for one in targets)
    assert len({one.labels for one in targets}) == 3


def test_when_nothing_can_be_reached_it_asks_whether_it_is_me():
    uptime = uptime_of({"checks": CHECKS})

    async def scenario():
        for target in uptime.targets():
            await target.source.pull(1_000)
        await uptime.tick(2_000)

    asyncio.run(scenario())

    assert uptime.judgement.doubtful
    assert [family.samples[0].value for family in uptime.families()] == [1, 3, 3, 0]


def test_an_anchor_that_answers_ends_the_doubt(serving):
    resolver = SystemResolver()

    async def names(host, port, family):
        if host.endswith(".example"):
            raise OSError(113, "no way")
        return await resolver(host, port, family)

    async def scenario():
        async def silent(reader, writer):
            await reader.read()

        async with serving(silent) as port:
            anchors = [f"tcp://127.0.0.1:{port}"]
            uptime = uptime_of({"checks": CHECKS, "anchors": anchors}, Network(SystemClock(), names))
            for target in uptime.targets():
                await target.source.pull(1_000)
            await uptime.tick(2_000)
            return uptime.judgement

    judgement = asyncio.run(scenario())
    resolver.close()

    assert (judgement.doubtful, judgement.failing) == (False, 3)


def test_a_reload_forgets_only_what_has_another_address():
    uptime = uptime_of({"checks": CHECKS})
    asyncio.run(uptime.targets()[0].source.pull(1_000))
    asyncio.run(uptime.targets()[1].source.pull(1_000))

    changed = [{**CHECKS[0], "interval": "2m"}, {**CHECKS[1], "url": "tcp://moved.example:1"}]
    uptime.apply(UptimeConfig.model_validate({"checks": changed}))

    assert [view.probed_ms for view in uptime.views()] == [1_000, None]


def test_a_reload_that_cannot_read_an_authority_changes_nothing():
    uptime = uptime_of({"checks": CHECKS})
    broken = [{"name": "z", "url": "https://a.example/", "tls": {"ca_file": "gone.pem"}}]

    with pytest.raises(ConfigError, match=r"'z': tls.ca_file gone.pem cannot be read"):
        uptime.apply(UptimeConfig.model_validate({"checks": broken}))

    assert len(uptime.targets()) == 3


@dataclass
class Reaching:
    """Names that are known, on a loopback address where nothing listens; or the way there is lost."""

    lost: set

    async def __call__(self, host, port, family):
        if host in self.lost:
            raise OSError(113, "no way")
        return [Found(socket.AF_INET, ("127.0.0.1", 9))]


def test_when_one_is_not_reached_the_others_are_asked_before_it_is_down():
    reaching = Reaching(set())
    uptime = uptime_of({"checks": CHECKS}, Network(SystemClock(), reaching))

    async def scenario():
        a, b, c = (target.source for target in uptime.targets())
        for source in (a, b, c):
            source.restore(ProbeState(Condition.UP, 1, True))
            await source.pull(1_000)
            source.restore(ProbeState(Condition.UP, 1, True))
        reaching.lost = {"a.example", "b.example", "c.example"}
        await a.pull(61_000)
        due_before = [b.due(62_000), c.due(12_000)]
        await uptime.tick(62_000)
        due_after = [b.due(62_000), c.due(12_000)]
        await b.pull(63_000)
        await c.pull(63_000)
        await uptime.tick(66_000)
        return due_before, due_after, a.view().state.up, uptime.judgement.doubtful

    before, after, up, doubtful = asyncio.run(scenario())

    assert before[1] is False
    assert after == [True, True]
    assert (up, doubtful) == (True, True), "doubt comes before the first of them is down"


def test_what_is_concluded_outlives_the_process_and_downs_are_remembered(tmp_path):
    db = Database(tmp_path / "it.db")
    history, service = ProbeHistory(db), Service()
    source = ProbeSource(check(retries=0), service, [], Page, history.note)

    async def scenario():
        await source.pull(1_000)
        service.up = False
        await source.pull(61_000)
        await source.pull(121_000)
        service.up = True
        await source.pull(181_000)

    asyncio.run(scenario())
    db.write(lambda connection: None).result()
    again = ProbeHistory(db)
    changes = again.changes("it", 0)

    assert [(one.at_ms, one.condition.value, one.reason) for one in changes] == [
        (1_000, "up", ""),
        (61_000, "down", "refused"),
        (181_000, "up", ""),
    ]
    assert [one.at_ms for one in again.changes("it", 100_000)] == [61_000, 181_000]
    assert again.state(check()) == source.view().state
    assert again.state(check(url="tcp://elsewhere.example:1")) is None
    db.close()


def test_an_uptime_that_starts_again_goes_on_where_it_stopped(tmp_path):
    db = Database(tmp_path / "it.db")
    config = UptimeConfig.model_validate({"checks": CHECKS})
    network = Network(SystemClock(), Names())
    first = Uptime(network, Page, ProbeHistory(db))
    first.apply(config)
    for at_ms in (1_000, 16_000):
        asyncio.run(first.targets()[0].source.pull(at_ms))
    db.write(lambda connection: None).result()

    second = Uptime(network, Page, ProbeHistory(db))
    second.apply(config)
    db.close()

    assert [view.state.condition.value for view in second.views()] == ["down", "unknown", "unknown"]


def test_a_disk_that_refuses_costs_a_line_of_history_and_nothing_else(tmp_path):
    db = Database(tmp_path / "it.db")
    history = ProbeHistory(db)
    db.write(lambda connection: connection.execute("DROP TABLE probe_state") and None).result()
    source = ProbeSource(check(), Service(), [], Page, history.note)

    asyncio.run(source.pull(1_000))
    db.close()

    assert history.failures_total == 1
    assert source.view().state.up


def test_who_depends_on_another_is_not_told_of_through_others_too():
    checks = [CHECKS[0], {**CHECKS[1], "depends_on": "a"}, {**CHECKS[2], "depends_on": ["b"]}]

    found = inhibitions(UptimeConfig.model_validate({"checks": checks}))

    assert [one.name for one in found] == ["b depends on a", "c depends on b", "c depends on a"]
    assert [str(matcher) for matcher in found[0].source] == ['alertname="CheckDown"', 'check="a"']
    assert [str(matcher) for matcher in found[0].target] == ['alertname=~"CheckDown|CheckFlapping"', 'check="b"']
