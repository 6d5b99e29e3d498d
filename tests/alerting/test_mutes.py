"""What is not told, by silences, inhibit rules and the time of day; and that its end is told when the mute is over."""

import asyncio

import pytest

from trackside.server.alerting.inhibit_rule import InhibitRule
from trackside.server.alerting.matchers import parse_matchers
from trackside.server.alerting.silences.recurrence import Recurrence
from trackside.server.alerting.time_intervals import Span, TimeInterval

SECONDS = "{receiver: team, group_by: [alertname], group_wait: 1s, group_interval: 10s, repeat_interval: 1h}"
EXPLAINS = InhibitRule(parse_matchers("i=1"), parse_matchers("i=2"), ("cluster",))
MINUTE_MS = 60_000


def run(story):
    asyncio.run(story())


def test_what_is_silenced_is_not_told_and_what_is_not_is(site, hook):
    async def story():
        await site.silence("i=2", until=100)
        site.offer(site.firing(1), site.firing(2))
        await site.until(50)
        assert hook.told == ["1 firing"]
        await site.until(111)
        assert hook.told[1:] == ["1 firing, 2 firing"]

    run(story)


def test_the_end_under_a_silence_is_told_when_the_silence_ends_and_says_when_it_was(site, hook):
    async def story():
        site.offer(site.firing(1))
        await site.until(5)
        await site.silence("i=1", until=1000)
        site.offer(site.resolved(1, until=20))
        await site.until(999, 5)
        assert hook.told == ["1 firing"]
        await site.until(1012)
        assert hook.told[1:] == ["1 resolved"]
        (alert,) = hook.taken[1].alerts
        assert alert.resolved_at_ms == site.zero_ms + 20_000

    run(story)


def test_the_end_under_a_silence_survives_a_crash(site, hook):
    async def story():
        site.offer(site.firing(1))
        await site.until(5)
        await site.silence("i=1", until=1000)
        site.offer(site.resolved(1, until=20))
        await site.until(100, 5)
        await site.kill()
        site.start()
        await site.until(999, 5)
        assert hook.told == ["1 firing"]
        await site.until(1012)
        assert hook.told[1:] == ["1 resolved"]

    run(story)


def test_the_next_outage_after_a_silenced_end_is_told(site, hook):
    async def story():
        site.offer(site.firing(1))
        await site.until(5)
        await site.silence("i=1", until=50)
        site.offer(site.resolved(1, until=20))
        await site.until(70)
        site.offer(site.firing(1, since=70))
        await site.until(90)
        assert hook.told == ["1 firing", "1 resolved", "1 firing"]

    run(story)


def test_who_was_never_told_does_not_hear_of_the_end(site, hook):
    async def story():
        await site.silence("i=1", until=50)
        site.offer(site.firing(1))
        await site.until(20)
        site.offer(site.resolved(1, until=20))
        await site.until(100)
        assert hook.told == []
        assert site.dispatcher.views.groups(site.clock.ms) == []

    run(story)


def test_an_alert_that_goes_on_after_a_silence_is_no_news_unless_others_were_told_without_it(site, hook):
    async def story():
        site.offer(site.firing(1))
        await site.until(5)
        await site.silence("i=1", until=40)
        await site.until(60)
        assert hook.told == ["1 firing"]
        await site.silence("i=1", until=100, since=60)
        site.offer(site.firing(2, since=60))
        await site.until(90)
        assert hook.told[1:] == ["2 firing"]
        await site.until(120)
        assert hook.told[2:] == ["1 firing, 2 firing"]

    run(story)


def test_what_waits_for_a_dead_receiver_is_not_sent_once_it_is_silenced(site, hook, down):
    hook.error = down

    async def story():
        site.offer(site.firing(1))
        await site.until(5)
        await site.silence("i=1", until=10_000)
        await site.until(30)
        hook.error = None
        await site.until(600, 5)
        assert hook.told == []

    run(story)


def test_an_expired_silence_lets_the_next_flush_speak(site, hook):
    async def story():
        id = await site.silence("alertname=~.+", until=10_000)
        site.offer(site.firing(1))
        await site.until(25)
        await site.dispatcher.silences.expire(id, site.clock.ms)
        await site.until(31)
        assert hook.told == ["1 firing"]

    run(story)


def test_a_recurring_silence_silences_every_day(new_site, integration):
    hook = integration()
    site = new_site(SECONDS.replace("1h", "100d"), team=hook)
    day = 86_400
    # Ten minutes from the start of the clock, in UTC.
    start = (site.zero_ms // MINUTE_MS) % (24 * 60) + 1
    span = [{"start_time": f"{start // 60:02}:{start % 60:02}", "end_time": f"{start // 60:02}:{start % 60 + 9:02}"}]

    async def story():
        await site.silence("i=1", until=30 * day, recurrence=Recurrence.of([{"times": span}]))
        for number in range(3):
            await site.until(number * day + 300, 50)
            site.offer(site.firing(1, since=number * day + 300))
            await site.until(number * day + 400, 5)
            assert len(hook.told) == number * 2
            await site.until(number * day + 700, 5)
            assert len(hook.told) == number * 2 + 1
            site.offer(site.resolved(1, since=number * day + 300, until=number * day + 700))
            await site.until(number * day + 800, 5)
        assert hook.told == ["1 firing", "1 resolved"] * 3

    run(story)


def test_an_alert_that_another_explains_is_not_told_and_its_end_is_told_afterwards(site, hook):
    site.rules = (EXPLAINS,)
    site.reload()

    async def story():
        site.offer(site.firing(2, cluster="a"))
        await site.until(5)
        site.offer(site.firing(1, cluster="a"), site.firing(3))
        await site.until(15)
        assert hook.told == ["2 firing", "1 firing, 3 firing"]
        site.offer(site.resolved(2, until=16, cluster="a"))
        await site.until(40)
        assert len(hook.told) == 2
        site.offer(site.resolved(1, until=40, cluster="a"))
        await site.until(55)
        assert hook.told[2:] == ["1 resolved, 2 resolved, 3 firing"]

    run(story)


@pytest.mark.parametrize("restarts", [False, True])
def test_a_source_that_is_there_already_inhibits_after_a_reload_and_a_restart(site, hook, restarts):
    async def story():
        site.offer(site.firing(1))
        await site.until(5)
        site.rules = (EXPLAINS,)
        if restarts:
            await site.kill()
            site.start()
        else:
            site.reload()
        site.offer(site.firing(2))
        await site.until(30)
        assert hook.told == ["1 firing"]

    run(story)


class TestTimeOfDay:
    def route(self, keys: str) -> str:
        return SECONDS.replace("}", f", routes: [{{matchers: [alertname=A], {keys}}}]}}")

    def site(self, new_site, hook, keys: str):
        """`office`: the second and the third minute from the start."""
        site = new_site(SECONDS, team=hook)
        minute = site.zero_ms // MINUTE_MS % (24 * 60)
        site.intervals = {"office": TimeInterval("office", (Span(minutes=((minute + 1, minute + 3),)),))}
        site.reload(self.route(keys))
        return site

    def test_a_muted_group_is_told_when_the_interval_is_over(self, new_site, integration):
        hook = integration()
        site = self.site(new_site, hook, "mute_time_intervals: [office]")

        async def story():
            site.offer(site.firing(1))
            await site.until(30)
            assert hook.told == ["1 firing"]
            await site.until(70)
            site.offer(site.resolved(1, until=70), site.firing(2, since=70))
            await site.until(110)
            assert len(hook.told) == 1
            (group,) = site.dispatcher.views.groups(site.clock.ms)
            assert group.muted_by == ("office",)
            await site.until(200)
            assert hook.told[1:] == ["1 resolved, 2 firing"]
            assert hook.taken[1].alerts[0].resolved_at_ms == site.zero_ms + 70_000

        run(story)

    def test_an_inactive_group_is_told_when_it_is_active(self, new_site, integration):
        hook = integration()
        site = self.site(new_site, hook, "active_time_intervals: [office]")

        async def story():
            site.offer(site.firing(1))
            await site.until(15)
            (group,) = site.dispatcher.views.groups(site.clock.ms)
            assert (hook.told, group.muted_by) == ([], ("office",))
            await site.until(75)
            assert hook.told == ["1 firing"]
            site.offer(site.resolved(1, until=76))
            await site.until(300)
            assert hook.told[1:] == ["1 resolved"]

        run(story)


def test_what_is_muted_is_counted_by_the_reason(site):
    async def story():
        site.rules = (EXPLAINS,)
        site.reload()
        await site.silence("i=3", until=1000)
        site.offer(site.firing(1), site.firing(2), site.firing(3))
        await site.until(2)
        counter = site.registry.counter("alertmanager_notifications_suppressed_total", labels=("reason",))
        counts = {reason: counter.labels(reason).raw()[0] for reason in ("silence", "inhibition")}
        assert counts == {"silence": 1.0, "inhibition": 1.0}

    run(story)
