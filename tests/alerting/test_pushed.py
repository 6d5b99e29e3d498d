"""Alerts that others push: how a push joins what is known, and when an alert is over."""

import asyncio
import json
import sqlite3

import pytest

from trackside.model.alerts import AlertState
from trackside.model.labels import Labels
from trackside.server.alerting.dispatcher import AlertingOptions
from trackside.server.alerting.pushes.lease import Lease, Push, leased

A = Labels.of(alertname="A")
TIMEOUT = 100


def lease(*pushes: tuple[int, int | None, int | None]) -> Lease:
    """After pushes of (now, start, end)."""
    known = None
    for now, start, end in pushes:
        known = leased(Push(A, Labels(), start, end), known, TIMEOUT, now)
    assert known is not None
    return known


@pytest.mark.parametrize(
    ("pushes", "starts", "ends"),
    [
        pytest.param([(10, None, None)], 10, 110, id="no times: from now, for the resolve timeout"),
        pytest.param([(10, 5, None)], 5, 110, id="only a start"),
        pytest.param([(10, None, 7)], 7, 7, id="only an end"),
        pytest.param([(10, None, 17)], 10, 17, id="only an end that is to come"),
        pytest.param([(10, 11, None), (12, 10, None)], 10, 112, id="the earliest start of what overlaps"),
        pytest.param([(10, 10, 20), (30, 30, 40)], 30, 40, id="another outage"),
        pytest.param([(10, 10, 50), (20, 10, 40)], 10, 50, id="a promise is not shortened by another"),
        pytest.param([(10, 10, None), (20, 10, 40)], 10, 40, id="a time-out is no promise"),
        pytest.param([(10, 10, 50), (20, 10, 20)], 10, 20, id="over is over"),
        pytest.param([(10, 10, 50), (48, 30, 45), (48, 29, 48), (48, 29, 41)], 10, 48, id="the latest of two ends"),
        pytest.param([(10, 10, 20), (30, 10, 20)], 10, 20, id="the same end again"),
    ],
)
def test_a_push_joins_what_is_known(pushes, starts, ends):
    known = lease(*pushes)
    assert (known.starts_ms, known.ends_ms) == (starts, ends)


def test_an_end_before_the_start_makes_no_sense():
    with pytest.raises(ValueError, match="before end time"):
        lease((10, 10, 9))


def run(story):
    asyncio.run(story())


def test_it_is_over_at_its_end_without_a_word(site, hook):
    async def story():
        await site.push(1, since=0, until=25)
        await site.until(40)
        assert hook.told == ["1 firing", "1 resolved"]
        assert hook.taken[1].alerts[0].resolved_at_ms == site.zero_ms + 25_000

    run(story)


def test_it_goes_on_while_it_is_pushed_again(site, hook):
    async def story():
        for second in range(0, 100, 10):
            await site.push(1, since=0, until=second + 25)
            await site.until(second + 10)
        assert hook.told == ["1 firing"]
        await site.until(200)
        assert hook.told == ["1 firing", "1 resolved"]

    run(story)


def test_without_an_end_it_lasts_for_the_resolve_timeout(site, hook):
    async def story():
        await site.push(1)
        await site.until(299, 5)
        assert len(site.dispatcher.views.alerts(site.clock.ms)) == 1
        await site.until(315)
        assert hook.told == ["1 firing", "1 resolved"]
        assert site.dispatcher.views.alerts(site.clock.ms) == []

    run(story)


class TestCrash:
    def test_what_was_pushed_is_there_after_it(self, site, hook):
        async def story():
            await site.push(1)
            await site.kill()
            site.start()
            (view,) = site.dispatcher.views.alerts(site.clock.ms)
            assert view.receivers == ("team",)
            await site.until(5)
            assert hook.told == ["1 firing"]

        run(story)

    def test_what_was_pushed_to_be_over_is_over_after_it(self, site, hook):
        async def story():
            await site.push(1, since=0)
            await site.until(5)
            await site.push(1, since=0, until=5)
            await site.kill()
            site.start()
            await site.until(20)
            assert hook.told == ["1 firing", "1 resolved"]

        run(story)

    def test_an_end_that_came_while_nobody_could_push_is_waited_for_as_long_again(self, site, hook):
        """Prometheus says every minute that an alert goes on for four more; ten minutes without us are no end."""

        async def story():
            await site.push(1, since=0, until=240)
            await site.until(60)
            await site.kill()
            site.clock.ms += 600_000
            site.start()
            await site.until(700, 5)
            assert hook.told == ["1 firing"]
            await site.push(1, since=0, until=940)
            await site.until(900, 5)
            assert hook.told == ["1 firing"]
            await site.until(960, 5)
            assert hook.told == ["1 firing", "1 resolved"]

        run(story)

    def test_if_nobody_pushes_it_again_it_ended_when_it_was_said_to(self, site, hook):
        async def story():
            await site.push(1, since=0, until=30)
            await site.until(20)
            await site.kill()
            site.clock.ms += 15_000
            site.start()
            await site.until(100)
            assert hook.told == ["1 firing", "1 resolved"]
            assert hook.taken[1].alerts[0].resolved_at_ms == site.zero_ms + 30_000

        run(story)

    def test_repetitions_are_stored_often_enough(self, site, hook):
        async def story():
            for minute in range(10):
                await site.push(1, since=0, until=minute * 60 + 240)
                await site.until(minute * 60 + 59, 5)
            await site.kill()
            site.start()
            await site.until(10 * 60 + 60, 5)
            assert hook.told == ["1 firing"]

        run(story)


def test_too_many_of_one_name_are_dropped(site):
    site.options = AlertingOptions(alerts_per_name=2)

    async def story():
        await site.kill()
        site.start()
        for number in range(4):
            assert await site.push(number, since=0) == []
        assert await site.push(0, alertname="B") == []
        assert len(site.dispatcher.views.alerts(site.clock.ms)) == 3
        await site.push(0, since=0, until=0)
        await site.push(3, since=0)
        shown = {view.alert.labels.get("i") for view in site.dispatcher.views.alerts(site.clock.ms)}
        assert shown == {"0", "1", "3"}
        await site.push(1, since=0)
        assert len(site.dispatcher.views.alerts(site.clock.ms)) == 3

    run(story)


def test_what_was_over_long_ago_is_forgotten(site):

    async def story():
        await site.push(1, since=0, until=10)
        await site.push(2, since=0)
        await site.until(2_000, 20)
        await site.push(2, since=0)
        await site.kill()
        rows = sqlite3.connect(site.folder / "trackside.db").execute("SELECT count(*) FROM pushed_alert")
        assert rows.fetchone() == (1,)
        site.start()
        (view,) = site.dispatcher.views.alerts(site.clock.ms)
        assert view.alert.labels.get("i") == "2"
        assert view.alert.state is AlertState.FIRING

    run(story)


def test_the_end_is_told_though_the_group_was_not_saved_before_the_crash(site, hook):
    """Told in the same moment in which the server died: the message is known, the group is not."""

    async def story():
        await site.push(1, since=0, until=20)
        await site.until(5)
        site.db.write(lambda connection: connection.execute("DELETE FROM alert_group")).result()
        await site.kill()
        site.clock.ms += 30_000
        site.start()
        await site.until(200)
        assert hook.told == ["1 firing", "1 resolved"]

    run(story)


def test_alerts_that_an_earlier_version_kept_by_their_labels_are_taken_over(site, hook):
    async def story():
        await site.push(1, since=0, until=20)
        await site.push(2, since=0, until=2_000)
        await site.until(5)
        await site.kill()
        with sqlite3.connect(site.folder / "trackside.db") as connection:
            rows = [(json.dumps([text]), text) for (text,) in connection.execute("SELECT alert FROM pushed_alert")]
            connection.execute("DROP TABLE pushed_alert")
            connection.execute(
                "CREATE TABLE pushed_alert (labels TEXT PRIMARY KEY, alert TEXT NOT NULL) STRICT, WITHOUT ROWID"
            )
            connection.executemany("INSERT INTO pushed_alert VALUES (?, ?)", rows)
        connection.close()
        site.start()
        assert {view.alert.labels.get("i") for view in site.dispatcher.views.alerts(site.clock.ms)} == {"1", "2"}
        await site.push(3, since=5, until=2_000)
        await site.until(60)
        assert hook.told[0] == "1 firing, 2 firing"
        assert hook.told[-1] == "1 resolved, 2 firing, 3 firing"
        await site.kill()
        site.start()
        assert {view.alert.labels.get("i") for view in site.dispatcher.views.alerts(site.clock.ms)} == {"2", "3"}

    run(story)
