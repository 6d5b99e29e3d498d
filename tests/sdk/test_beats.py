import asyncio
import json

import pytest

from trackside import Monitor
from trackside.exceptions import UnhealthyError
from trackside.sdk.beats import Beat
from trackside.sdk.switched_off import NO_INSTRUMENT


@pytest.fixture
def monitor():
    return Monitor("shop", environ={})


class Clock:
    def __init__(self):
        self.now_s = 1_000_000.0

    def __call__(self):
        return self.now_s


def ready(monitor):
    answer = asyncio.run(monitor.context.endpoints.answer("GET", "/health/ready", {}))
    return answer.status, json.loads(answer.body)


@pytest.mark.parametrize(
    ("every_s", "silent_s", "sentence"),
    [
        pytest.param(10, 0, None, id="just now"),
        pytest.param(10, 30, None, id="two missed"),
        pytest.param(10, 31, "poller has stopped: its last beat was 31 s ago, expected every 10 s", id="three missed"),
        pytest.param(0.1, 4, None, id="a busy moment"),
        pytest.param(
            0.1, 6, "poller has stopped: its last beat was 6 s ago, expected every 0.1 s", id="short interval"
        ),
        pytest.param(0.5, 6.5341, "its last beat was 6.5 s ago, expected every 0.5 s", id="rounded as people do"),
        pytest.param(60, 7200, "its last beat was 2 h ago, expected every 60 s", id="hours"),
        pytest.param(60, 600, "its last beat was 10 min ago", id="minutes"),
    ],
)
def test_a_beat_is_missed_after_three_intervals(every_s, silent_s, sentence):
    clock = Clock()
    beat = Beat("poller", every_s, NO_INSTRUMENT, clock)
    beat()
    clock.now_s += silent_s
    if sentence is None:
        beat.probe()
    else:
        with pytest.raises(UnhealthyError, match=sentence):
            beat.probe()


def test_a_poller_that_never_started_makes_the_app_not_ready(monitor):
    beat = monitor.beat("session-poller", every=60.0)
    status, body = ready(monitor)
    assert (status, body["status"], body["session-poller"]) == (503, "not_ready", False)
    assert body["errors"]["session-poller"].startswith("session-poller has never run: no beat in the ")
    beat()
    assert ready(monitor) == (200, {"status": "ready", "session-poller": True})


def test_a_block_beats_when_it_ends_well(monitor):
    beat = monitor.beat("poller", every=60.0)
    with pytest.raises(ValueError, match="broken"), beat:
        raise ValueError("broken")
    assert ready(monitor)[0] == 503

    async def round_of_work():
        async with beat:
            pass

    asyncio.run(round_of_work())
    assert ready(monitor)[0] == 200


def test_beats_are_gauges(monitor):
    beat = monitor.beat("poller", every=2.5)
    assert monitor.beat("poller", every=2.5) is beat
    text = monitor.exposition().decode()
    assert 'beat_interval_seconds{beat="poller"} 2.5' in text
    assert 'beat_last_timestamp_seconds{beat="poller"} 0' in text
    beat()
    assert 'beat_last_timestamp_seconds{beat="poller"} 0' not in monitor.exposition().decode()


def test_one_that_is_not_critical_is_shown_and_the_app_stays_ready(monitor):
    monitor.beat("poller", every=1.0, critical=False)
    status, body = ready(monitor)
    assert (status, body["poller"]) == (200, False)


@pytest.mark.parametrize("every", [0, -1, float("inf"), float("nan")])
def test_an_interval_that_makes_no_sense_is_told_at_once(monitor, every):
    with pytest.raises(ValueError, match="a number of seconds above 0"):
        monitor.beat("poller", every=every)


def test_without_metrics_the_health_still_knows():
    off = Monitor(environ={"ENABLE_PROMETHEUS_METRICS": "false"})
    beat = off.beat("poller", every=60.0)
    assert ready(off)[0] == 503
    beat()
    assert ready(off)[0] == 200
    assert [family.name for family in off.registry.collect()] == ["trackside_sdk_errors_total"]


@pytest.fixture
def workers(tmp_path):
    """Monitors of one application in this process, which stand for those of several."""
    made = [Monitor("shop", environ={}, shared=str(tmp_path / "shop")) for _ in range(3)]
    yield made
    for monitor in made:
        monitor.registry.membership.leave()


def test_a_poller_in_one_worker_makes_all_of_them_ready(workers):
    first, *_ = beats = [monitor.beat("poller", every=60.0) for monitor in workers]
    assert [ready(monitor)[0] for monitor in workers] == [503, 503, 503]
    first()
    assert [ready(monitor) for monitor in workers] == [(200, {"status": "ready", "poller": True})] * 3
    assert {beat._beat_s > 0 for beat in beats[1:]} == {False}


def test_the_newest_beat_of_all_workers_counts(workers):
    clock = Clock()
    beats = [monitor.beat("poller", every=10.0) for monitor in workers]
    for beat in beats:
        beat._now_s = clock
    for beat in beats:
        clock.now_s += 20
        beat()
    clock.now_s += 30
    for beat in beats:
        beat.probe()
    shown = {
        float(line.split()[1])
        for monitor in workers
        for line in monitor.exposition().decode().splitlines()
        if line.startswith("beat_last_timestamp_seconds{")
    }
    assert shown == {clock.now_s - 30}
    clock.now_s += 1
    for beat in beats:
        with pytest.raises(UnhealthyError, match="its last beat was 31 s ago"):
            beat.probe()


def test_when_the_worker_that_had_the_poller_is_gone_its_last_beat_is_remembered(workers):
    clock = Clock()
    gone, left, _ = beats = [monitor.beat("poller", every=10.0) for monitor in workers]
    for beat in beats:
        beat._now_s = clock
    gone()
    workers[0].registry.membership.leave()
    clock.now_s += 40
    with pytest.raises(UnhealthyError, match="poller has stopped: its last beat was 40 s ago"):
        left.probe()


def test_the_interval_of_several_workers_is_not_added_up(workers):
    for monitor in workers:
        monitor.beat("poller", every=2.5)
    assert 'beat_interval_seconds{beat="poller"} 2.5' in workers[0].exposition().decode()
