"""When who is told what: the timing of groups, and what survives a crash, on a clock turned by hand."""

import asyncio
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trackside.exceptions import DeliveryError
from trackside.model.alerts import Alert, AlertState

ROUTE = "{receiver: team, group_by: [alertname], group_wait: 30s, group_interval: 5m, repeat_interval: 4h}"
SECONDS = "{receiver: team, group_by: [alertname], group_wait: 1s, group_interval: 10s, repeat_interval: 1h}"
REFUSED = "{receiver: bad, group_wait: 1s, group_interval: 10s, repeat_interval: 100d}"
MINUTE = 60.0

ERRORS = {
    "well": None,
    "down": DeliveryError("answered 500", retry=True),
    "refuses": DeliveryError("answered 400", retry=False),
    "doubt lost": DeliveryError("no answer", retry=True, maybe_sent=True),
    "doubt arrived": DeliveryError("no answer", retry=True, maybe_sent=True),
}
EVENTS = ["fire 1", "fire 2", "end 1", "end 2", "kill", "wait", *ERRORS]


def run(story):
    """Run an async story to its end."""
    asyncio.run(story())


def test_a_group_is_told_after_its_wait_and_only_once(new_site, integration):
    hook = integration()
    site = new_site(ROUTE, team=hook)

    async def story():
        site.offer(site.firing(1))
        await site.until(29)
        assert hook.told == []
        site.offer(site.firing(1), site.firing(2, since=20))
        await site.until(30)
        assert hook.told == ["1 firing, 2 firing"]
        await site.until(60 * MINUTE, step_s=30)
        assert hook.told == ["1 firing, 2 firing"]

    run(story)


def test_what_joins_a_group_later_waits_for_the_group_interval(new_site, integration):
    hook = integration()
    site = new_site(ROUTE, team=hook)

    async def story():
        site.offer(site.firing(1))
        await site.until(40)
        site.offer(site.firing(1), site.firing(2, since=40))
        await site.until(5 * MINUTE + 29)
        assert len(hook.told) == 1
        await site.until(5 * MINUTE + 30)
        assert hook.told[1:] == ["1 firing, 2 firing"]

    run(story)


@pytest.mark.parametrize(
    ("repeat", "interval", "again_after_s", "step_s"),
    [
        pytest.param("4h", "5m", 4 * 3600, 100, id="a multiple of the group interval"),
        pytest.param("22s", "20s", 40, 1, id="rounded up to the next flush"),
        pytest.param("1s", "20s", 20, 1, id="not more often than the group interval"),
    ],
)
def test_a_lasting_alert_is_repeated(new_site, integration, repeat, interval, again_after_s, step_s):
    hook = integration()
    route = f"{{receiver: team, group_wait: 0s, group_interval: {interval}, repeat_interval: {repeat}}}"
    site = new_site(route, team=hook)

    async def story():
        site.offer(site.firing(1))
        await site.until(0.001)
        for times in (1, 2, 3):
            assert len(hook.taken) == times
            await site.until(times * again_after_s - step_s, step_s)
            assert len(hook.taken) == times
            await site.until(times * again_after_s, step_s)
        assert len(hook.taken) == 4

    run(story)


def test_a_flush_that_is_woken_late_does_not_put_off_the_repeat(new_site, integration):
    hook = integration()
    site = new_site("{receiver: team, group_wait: 0s, group_interval: 10s, repeat_interval: 20s}", team=hook)

    async def story():
        site.offer(site.firing(1))
        for woken_ms in (90, 10_010, 20_020):
            site.clock.ms = site.zero_ms + woken_ms
            await site.dispatcher.tick(site.clock.ms)
            await site.dispatcher.drain()
        assert len(hook.taken) == 2

    run(story)


def test_an_alert_that_is_older_than_the_wait_is_told_at_once(new_site, integration):
    hook = integration()
    site = new_site(ROUTE, team=hook)

    async def story():
        site.offer(site.firing(1, since=-600))
        await site.until(1)
        assert hook.told == ["1 firing"]

    run(story)


def test_what_resolves_before_anyone_heard_of_it_is_silence(new_site, integration):
    hook = integration()
    site = new_site(ROUTE, team=hook)

    async def story():
        site.offer(site.firing(1))
        await site.until(10)
        site.offer(site.resolved(1, until=10))
        await site.until(20 * MINUTE)
        assert hook.told == []
        site.offer(site.resolved(1, until=10))
        await site.until(21 * MINUTE)
        assert hook.told == []

    run(story)


def test_what_resolves_and_fires_again_within_an_interval_is_silence(new_site, integration):
    hook = integration()
    site = new_site(ROUTE, team=hook)

    async def story():
        site.offer(site.firing(1))
        await site.until(60)
        site.offer(site.resolved(1, until=60))
        await site.until(120)
        site.offer(site.firing(1, since=120))
        await site.until(30 * MINUTE, 5)
        assert hook.told == ["1 firing"]

    run(story)


def test_the_end_is_told_once_though_the_rules_go_on_saying_it(new_site, integration):
    hook = integration()
    site = new_site(ROUTE, team=hook)

    async def story():
        site.offer(site.firing(1), site.firing(2))
        await site.until(60)
        for minute in range(1, 17):
            site.offer(site.resolved(1, until=60), site.firing(2))
            await site.until((minute + 1) * MINUTE, 5)
        assert hook.told == ["1 firing, 2 firing", "1 resolved, 2 firing"]
        site.offer(site.resolved(2, until=20 * MINUTE))
        await site.until(30 * MINUTE, 5)
        assert hook.told[2:] == ["2 resolved"]

    run(story)


def test_who_does_not_want_the_end_is_told_of_the_next_outage(new_site, integration):
    quiet = integration(send_resolved=False)
    site = new_site(SECONDS, team=quiet)

    async def story():
        site.offer(site.firing(1), site.firing(2))
        await site.until(5)
        site.offer(site.resolved(1, until=5))
        await site.until(15)
        assert quiet.told == ["1 firing, 2 firing"]
        site.offer(site.firing(1, since=15))
        await site.until(40)
        assert quiet.told[1:] == ["1 firing, 2 firing"]
        site.offer(site.resolved(1, until=40), site.resolved(2, until=40))
        await site.until(60)
        assert len(quiet.told) == 2
        site.offer(site.firing(1, since=60))
        await site.until(62)
        assert quiet.told[2:] == ["1 firing"]

    run(story)


def test_a_dead_receiver_does_not_delay_the_other(new_site, integration, down):
    good, dead = integration(), integration("slack")
    dead.error = down
    site = new_site(SECONDS, team=[good, dead])

    async def story():
        site.offer(site.firing(1))
        await site.until(2)
        site.offer(site.firing(2, since=2))
        await site.until(11)
        assert good.told == ["1 firing", "1 firing, 2 firing"]
        assert dead.told == [] and len(dead.attempts) > 2

    run(story)


def test_a_receiver_that_hangs_does_not_delay_the_other(new_site, integration):
    async def story():
        good, stuck = integration(), integration("slack")
        stuck.gate = asyncio.Event()
        site = new_site(SECONDS, team=[good, stuck])
        site.offer(site.firing(1))
        for second in range(30):
            site.clock.ms = site.zero_ms + second * 1000
            await site.dispatcher.tick(site.clock.ms)
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
            if second == 5:
                site.offer(site.firing(2, since=5))
        # Between the two is the disk, which may be slower than this clock.
        async with asyncio.timeout(60):
            while len(good.told) < 2:
                await site.dispatcher.tick(site.clock.ms)
                await asyncio.sleep(0.001)
        assert good.told == ["1 firing", "1 firing, 2 firing"]
        # When it answers at last, it hears the rest at once.
        stuck.gate.set()
        await site.dispatcher.drain()
        assert stuck.told == ["1 firing", "1 firing, 2 firing"]

    run(story)


def test_a_receiver_that_was_away_hears_how_things_are_not_how_they_were(new_site, integration, down):
    hook = integration()
    hook.error = down
    site = new_site("{receiver: team, group_by: [alertname], group_wait: 1s, group_interval: 1m}", team=hook)

    async def story():
        for number in range(1, 11):
            site.offer(site.firing(number, since=number * 300))
            await site.until(number * 300 + 150, 5)
            site.offer(*(site.resolved(one, since=one * 300, until=one * 300 + 150) for one in range(1, number)))
        site.offer(site.firing(10, since=3000))
        # Past the next flush, so that whatever retry comes first carries what is true by then.
        await site.until(3300, 5)
        assert hook.told == []
        attempts = len(hook.attempts)
        assert attempts < 40
        hook.error = None
        await site.until(4000, 5)
        assert hook.told == ["10 firing"]
        reasons = [record.last_error for record in site.dispatcher.records(20)]
        assert "replaced by a newer one; last error: answered 500" in reasons

    run(story)


def test_what_is_over_before_the_receiver_came_back_is_given_up_with_the_reason(site, hook, down):
    hook.error = down

    async def story():
        site.offer(site.firing(1))
        await site.until(5)
        site.offer(site.resolved(1, until=5))
        await site.until(30)
        hook.error = None
        await site.until(600, 5)
        assert hook.taken == []
        (record,) = site.dispatcher.records(10)
        assert record.delivered_at_ms is None
        assert record.last_error == "no longer true; last error: answered 500"

    run(story)


@pytest.mark.parametrize(
    "doubt",
    [
        pytest.param(DeliveryError("no answer within 10 s", retry=True, maybe_sent=True), id="no answer"),
        pytest.param(DeliveryError("answered 504", retry=True, maybe_sent=True, status=504), id="a gateway gave up"),
    ],
)
def test_the_end_is_told_if_the_beginning_may_have_arrived(site, hook, doubt):
    hook.errors = [doubt]
    hook.error = DeliveryError("no connection", retry=True)

    async def story():
        site.offer(site.firing(1))
        await site.until(5)
        site.offer(site.resolved(1, until=5))
        await site.until(30)
        hook.error = None
        await site.until(330, 5)
        assert hook.told == ["1 resolved"]

    run(story)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(DeliveryError("", retry=True, status=500), "serverError", id="broken"),
        pytest.param(DeliveryError("", retry=True, maybe_sent=True, status=502), "serverError", id="a gateway"),
        pytest.param(DeliveryError("", retry=True, status=429), "clientError", id="too many"),
        pytest.param(DeliveryError("", retry=False, status=400), "clientError", id="refused"),
        pytest.param(DeliveryError("", retry=True, maybe_sent=True), "other", id="no answer"),
    ],
)
def test_attempts_that_failed_are_counted_by_alertmanagers_reasons(site, hook, error, reason):
    hook.errors = [error]

    async def story():
        site.offer(site.firing(1))
        await site.until(1)
        labels = ("integration", "reason")
        counted = site.registry.counter("alertmanager_notifications_failed_total", labels=labels)
        assert counted.labels("webhook", reason).raw()[0] == 1

    run(story)


def test_nothing_is_sent_before_it_is_written_down(site, hook):
    hook.gate = asyncio.Event()

    async def story():
        site.offer(site.firing(1))
        site.clock.ms += 1_000
        await site.dispatcher.tick(site.clock.ms)
        await asyncio.sleep(0)
        assert len(hook.attempts) == 1
        # The disk is busy with something else, and a message is taken meanwhile.
        disk = threading.Event()
        busy = site.db.write(lambda _: disk.wait(60))
        site.offer(site.firing(2, alertname="B"))
        site.clock.ms += 1_000
        ticking = asyncio.create_task(site.dispatcher.tick(site.clock.ms))
        await asyncio.sleep(0)
        hook.gate.set()
        for _ in range(20):
            await asyncio.sleep(0)
        assert (len(hook.attempts), len(hook.taken)) == (1, 1)
        disk.set()
        await asyncio.wrap_future(busy)
        await ticking
        await site.dispatcher.drain()
        assert hook.told == ["1 firing", "2 firing"]

    run(story)


@pytest.mark.parametrize("groups", [1, 99, 100, 101, 250])
def test_however_many_groups_are_due_each_is_told_once(new_site, integration, groups):
    hook = integration()
    site = new_site(SECONDS, team=hook)

    async def story():
        site.offer(*(site.firing(number, alertname=f"A{number}") for number in range(groups)))
        await site.until(30)
        assert sorted(hook.told) == sorted(f"{number} firing" for number in range(groups))

    run(story)


def test_a_refused_notification_is_not_retried_before_the_next_flush(site, hook):
    hook.error = DeliveryError("answered 400", retry=False)

    async def story():
        site.offer(site.firing(1))
        await site.until(10)
        assert len(hook.attempts) == 1
        await site.until(11)
        assert len(hook.attempts) == 2
        hook.error = None
        await site.until(40)
        assert hook.told == ["1 firing"]
        assert [record.last_error for record in site.dispatcher.records(5)] == [
            "",
            "refused; last error: answered 400",
            "refused; last error: answered 400",
        ]

    run(story)


def test_a_receiver_that_asks_to_wait_is_left_alone_so_long(new_site, integration):
    hook = integration()
    hook.errors = [DeliveryError("answered 429", retry=True, retry_after_s=60)]
    site = new_site("{receiver: team, group_by: ['...'], group_wait: 1s, group_interval: 5m}", team=hook)

    async def story():
        site.offer(site.firing(1), site.firing(2))
        await site.until(60)
        assert len(hook.attempts) == 1
        await site.until(61)
        assert sorted(hook.told) == ["1 firing", "2 firing"]

    run(story)


def test_an_error_of_ours_in_a_receiver_stops_nobody(new_site, integration):
    broken, good = integration("slack"), integration()
    broken.error = RuntimeError("bug")
    site = new_site(SECONDS, team=[broken, good])

    async def story():
        site.offer(site.firing(1))
        await site.until(5)
        assert good.told == ["1 firing"]
        assert len(broken.attempts) == 1
        assert "internal error" in site.dispatcher.records(5)[0].last_error + site.dispatcher.records(5)[1].last_error

    run(story)


class TestCrash:
    def test_between_deciding_and_sending_the_notification_is_sent_after_the_restart(self, site, hook):
        async def story():
            hook.gate = asyncio.Event()
            site.offer(site.firing(1))
            site.clock.ms += 2_000
            await site.dispatcher.tick(site.clock.ms)
            await asyncio.sleep(0)
            await site.kill()
            assert hook.taken == []
            hook.gate = None
            site.start()
            await site.until(3)
            assert hook.told == ["1 firing"]
            # Whether it had arrived before the crash was not known; now it is.
            await site.until(600, 5)
            assert hook.told == ["1 firing"]

        run(story)

    def test_after_a_restart_nothing_is_told_twice_and_the_end_is_told(self, site, hook):
        async def story():
            site.offer(site.firing(1))
            await site.until(5)
            await site.kill()
            site.start()
            site.offer(site.firing(1))
            await site.until(60)
            assert hook.told == ["1 firing"]
            await site.kill()
            site.start()
            site.offer(site.resolved(1, until=60))
            await site.until(80)
            assert hook.told == ["1 firing", "1 resolved"]

        run(story)

    def test_the_wait_of_a_group_is_not_begun_again(self, new_site, integration):
        async def story():
            hook = integration()
            site = new_site(ROUTE, team=hook)
            site.offer(site.firing(1))
            await site.until(20)
            await site.kill()
            site.start()
            site.offer(site.firing(1))
            await site.until(30)
            assert hook.told == ["1 firing"]

        run(story)

    def test_the_repeat_interval_counts_on(self, site, hook):
        async def story():
            site.offer(site.firing(1))
            await site.until(1800, 10)
            await site.kill()
            site.start()
            await site.until(3500, 10)
            assert len(hook.taken) == 1
            await site.until(3620, 10)
            assert len(hook.taken) == 2

        run(story)

    def test_what_waited_for_a_receiver_that_is_gone_is_given_up(self, site, hook, down):
        async def story():
            hook.error = down
            site.offer(site.firing(1))
            await site.until(5)
            await site.kill()
            site.receivers = {"team": []}
            site.start()
            (record,) = site.dispatcher.records(5)
            assert record.last_error == "no longer configured; last error: answered 500"

        run(story)


class TestReload:
    @pytest.mark.parametrize("fails", [False, True], ids=["and arrives", "and fails"])
    def test_what_is_on_its_way_when_its_receiver_goes_is_not_tried_again(self, site, hook, down, fails):
        async def story():
            hook.gate = asyncio.Event()
            site.offer(*(site.firing(number) for number in range(30)))
            site.clock.ms += 5_000
            await site.dispatcher.tick(site.clock.ms)
            while not hook.attempts:
                await asyncio.sleep(0)
            site.reload(receivers={"team": []})
            hook.error = down if fails else None
            (sender_task,) = asyncio.all_tasks() - {asyncio.current_task()}
            hook.gate.set()
            await sender_task
            (record,) = site.dispatcher.records(5)
            assert not record.is_waiting
            assert (record.alert_count, len(record.alerts)) == (30, 20)
            await site.kill()

        run(story)

    def test_an_alert_that_goes_elsewhere_is_announced_there_and_ended_where_it_was_announced(
        self, new_site, integration
    ):
        async def story():
            old, new = integration(), integration()
            site = new_site(SECONDS, team=old, other=new)
            site.offer(site.firing(1))
            await site.until(5)
            site.reload(SECONDS.replace("team", "other"))
            site.offer(site.firing(1))
            await site.until(30)
            assert (old.told, new.told) == (["1 firing"], ["1 firing"])
            site.offer(site.resolved(1, until=30))
            await site.until(60)
            assert (old.told[1:], new.told[1:]) == (["1 resolved"], ["1 resolved"])

        run(story)

    def test_a_reload_that_changes_nothing_says_nothing(self, site, hook):
        async def story():
            site.offer(site.firing(1))
            await site.until(5)
            site.reload()
            site.offer(site.firing(1))
            await site.until(100)
            assert hook.told == ["1 firing"]

        run(story)

    def test_a_receiver_that_is_gone_takes_its_groups_along(self, new_site, integration):
        async def story():
            old, new = integration(), integration()
            site = new_site(SECONDS, team=old, other=new)
            site.offer(site.firing(1))
            await site.until(5)
            site.reload(SECONDS.replace("team", "other"), {"other": [new]})
            site.offer(site.resolved(1, until=5))
            await site.until(30)
            assert old.told == ["1 firing"]
            assert new.told == []

        run(story)


def test_a_clock_that_is_set_back_delays_nobody(site, hook):
    async def story():
        site.offer(site.firing(1))
        await site.until(5)
        site.clock.ms -= 86_400_000
        site.zero_ms -= 86_400_000
        site.offer(site.firing(1), site.firing(2))
        await site.until(25)
        assert hook.told == ["1 firing", "1 firing, 2 firing"]

    run(story)


def test_a_full_disk_keeps_nobody_from_being_told(site, hook):
    async def story():
        site.offer(site.firing(1))
        site.db.write(lambda connection: connection.execute("DROP TABLE notification")).result()
        await site.until(5)
        assert hook.told == ["1 firing"]
        assert site.registry.counter("trackside_alerting_state_write_failures_total").labels().raw()[0] > 0

    run(story)


def test_closing_lets_the_message_in_flight_arrive(site, hook):
    async def story():
        hook.gate = asyncio.Event()
        site.offer(site.firing(1))
        site.clock.ms += 2_000
        await site.dispatcher.tick(site.clock.ms)
        await asyncio.sleep(0)
        closing = asyncio.create_task(site.dispatcher.close())
        await asyncio.sleep(0)
        hook.gate.set()
        await closing
        assert hook.told == ["1 firing"]
        assert site.dispatcher.records(1)[0].delivered_at_ms is not None

    run(story)


def test_alerts_are_in_the_order_of_job_instance_and_labels(new_site, integration):
    hook = integration()
    site = new_site("{receiver: team, group_wait: 1s}", team=hook)

    async def story():
        site.offer(
            site.firing(3, job="b", instance="1"),
            site.firing(2, job="a", instance="2"),
            site.firing(1, job="a", instance="1"),
        )
        await site.until(2)
        assert hook.told == ["1 firing, 2 firing, 3 firing"]
        assert hook.taken[0].group_key == "{}:{}"

    run(story)


@pytest.mark.parametrize("send_resolved", [True, False])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(st.sampled_from(EVENTS), max_size=25))
def test_whatever_happens_on_the_way_the_receiver_ends_up_knowing_what_is(new_site, integration, send_resolved, events):
    """Receivers that fail in every way, and kill -9 in between; then all is well again for a while."""
    hook = integration(send_resolved=send_resolved)
    site = new_site(SECONDS.replace("1h", "100d"), team=hook)
    now: dict[int, Alert] = {}

    async def story():
        for event in [*events, "well", "wait", "wait"]:
            second = site.seconds
            match event.split():
                case ["fire", number]:
                    if now.get(int(number)) is None or now[int(number)].state is AlertState.RESOLVED:
                        now[int(number)] = site.firing(int(number), since=second)
                case ["end", number]:
                    if int(number) in now:
                        now[int(number)] = site.resolved(int(number), until=second)
                case ["kill"]:
                    await site.kill()
                    site.start()
                case ["wait"]:
                    await site.until(second + 400, 4)
                case _:
                    hook.error = ERRORS[event]
                    hook.arrives = event == "doubt arrived"
                    if event == "well":
                        # Whoever mends a receiver that refused everything has its configuration read again.
                        site.reload()
            site.offer(*now.values())
            await site.until(site.seconds + 4)
        picture = hook.picture()
        truth = {number for number, alert in now.items() if alert.state is AlertState.FIRING}
        assert truth <= picture
        if send_resolved:
            assert truth == picture
        taken = len(hook.taken)
        await site.until(site.seconds + 1000, 10)
        assert len(hook.taken) == taken

    run(story)


class TestHandingOver:
    def test_what_was_announced_here_ends_here_and_the_rest_is_somebody_elses(self, new_site, integration):
        hook = integration()
        site = new_site(SECONDS.replace("1h", "1m"), team=hook)

        async def story():
            site.offer(site.firing(1), site.firing(2))
            await site.until(5)
            site.dispatcher.apply(site.routing(), site.receivers, hands_over=True)
            site.offer(site.firing(1), site.firing(2), site.firing(3, since=5))
            await site.until(600, 5)
            assert hook.told == ["1 firing, 2 firing"]
            site.offer(site.resolved(1, until=600), site.firing(2), site.resolved(3, since=5, until=600))
            await site.until(700, 5)
            assert hook.told[1:] == ["1 resolved"]

        run(story)

    def test_what_others_push_is_still_told(self, site, hook):
        site.dispatcher.apply(site.routing(), site.receivers, hands_over=True)

        async def story():
            await site.push(1)
            await site.until(5)
            assert hook.told == ["1 firing"]

        run(story)

    def test_whoever_takes_it_back_tells_what_goes_on(self, site, hook):
        site.dispatcher.apply(site.routing(), site.receivers, hands_over=True)

        async def story():
            site.offer(site.firing(1))
            await site.until(5)
            site.reload()
            await site.until(20)
            assert hook.told == ["1 firing"]

        run(story)


class TestRefusing:
    def test_three_refusals_are_the_last_and_the_others_hear_of_it(self, new_site, integration):
        bad, good = integration("slack"), integration()
        bad.error = DeliveryError("answered 403", retry=False)
        site = new_site(
            "{receiver: bad, group_wait: 1s, group_interval: 10s, repeat_interval: 100d}", bad=bad, good=good
        )

        async def story():
            site.offer(site.firing(1))
            await site.until(600, 5)
            assert len(bad.attempts) == 3
            (notification,) = good.taken
            (alert,) = notification.alerts
            assert alert.labels.as_dict() == {
                "alertname": "TracksideReceiverRefuses",
                "receiver": "bad",
                "integration": "bad/slack/0",
                "severity": "critical",
            }
            assert "answered 403" in alert.annotations.get("summary")
            # It would say this too to the one who refuses.
            assert {one.name for attempt in bad.attempts for one in attempt.alerts} == {"A"}

        run(story)

    def test_news_is_tried_again_and_what_is_taken_ends_the_alert(self, new_site, integration):
        bad, good = integration("slack"), integration()
        bad.error = DeliveryError("answered 403", retry=False)
        site = new_site(
            "{receiver: bad, group_wait: 1s, group_interval: 10s, repeat_interval: 100d}", bad=bad, good=good
        )

        async def story():
            site.offer(site.firing(1))
            await site.until(100)
            bad.error = None
            site.offer(site.firing(1), site.firing(2, since=100))
            await site.until(200)
            assert bad.told == ["1 firing, 2 firing"]
            assert good.told == ["TracksideReceiverRefuses firing", "TracksideReceiverRefuses resolved"]

        run(story)

    def test_it_ends_too_if_the_server_died_in_between(self, new_site, integration):
        async def story():
            bad, good = integration("slack"), integration()
            bad.error = DeliveryError("answered 403", retry=False)
            site = new_site(REFUSED, bad=bad, good=good)
            site.offer(site.firing(1))
            await site.until(100)
            await site.kill()
            bad.error = None
            site.start()
            site.offer(site.firing(1))
            await site.until(200)
            assert bad.told == ["1 firing"]
            assert good.told == ["TracksideReceiverRefuses firing", "TracksideReceiverRefuses resolved"]

        run(story)

    def test_a_receiver_that_is_mended_and_read_again_is_tried_at_once(self, new_site, integration):
        bad = integration("slack")
        bad.error = DeliveryError("answered 403", retry=False)
        site = new_site(SECONDS, team=bad)

        async def story():
            site.offer(site.firing(1))
            await site.until(100)
            bad.error = None
            site.reload()
            await site.until(102)
            assert bad.told == ["1 firing"]

        run(story)

    def test_without_a_reload_it_is_tried_an_hour_later(self, new_site, integration):
        bad = integration("slack")
        bad.error = DeliveryError("answered 403", retry=False)
        site = new_site(SECONDS.replace("1h", "1d"), team=bad)

        async def story():
            site.offer(site.firing(1))
            await site.until(100)
            bad.error = None
            await site.until(3_500, 10)
            assert bad.told == []
            await site.until(3_700, 10)
            assert bad.told == ["1 firing"]

        run(story)


def test_what_no_rule_knows_any_more_ends(site, hook):
    async def story():
        site.offer(site.firing(1), site.firing(2))
        await site.push(3)
        await site.until(5)
        await site.kill()
        site.start()
        site.dispatcher.end_unknown({site.firing(2).labels}, site.clock.ms)
        await site.until(25)
        assert hook.told == ["1 firing, 2 firing, 3 firing", "1 resolved, 2 firing, 3 firing"]

    run(story)


def test_how_long_a_notification_waits_is_known(site, hook, down):
    hook.error = down

    async def story():
        assert site.dispatcher.waiting_since_ms() is None
        site.offer(site.firing(1))
        await site.until(5)
        assert site.dispatcher.waiting_since_ms() == site.zero_ms + 1_000
        await site.dispatcher.write(site.clock.ms)

    run(story)
