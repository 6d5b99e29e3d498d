"""Trying a receiver: the message goes out at once, is in the log as a test, and changes nothing else."""

import asyncio

from trackside.exceptions import DeliveryError
from trackside.model.alerts import Alert, AlertState, Notification
from trackside.model.labels import Labels
from trackside.server.alerting.trial import try_out

SECONDS = "{receiver: team, group_by: [alertname], group_wait: 1s, group_interval: 10s, repeat_interval: 1h}"


def message(receiver: str = "team") -> Notification:
    labels = Labels.of(alertname="TracksideTest")
    alert = Alert(labels, Labels(), AlertState.FIRING, 1.0, 1_000_000_000, 1_000_000_000)
    return Notification(receiver, "{}:{}", labels, (alert,), "http://monitor")


def test_every_integration_of_the_receiver_is_tried_and_logged(new_site, integration):
    chat, mail = integration("slack"), integration("email")
    mail.error = DeliveryError("answered 550: no such user", retry=False)
    site = new_site(SECONDS, team=[chat, mail])
    tried = asyncio.run(site.dispatcher.try_out(message()))

    assert [(one.kind, one.last_error) for one in tried] == [("slack", ""), ("email", "answered 550: no such user")]
    logged = {one.integration: one for one in site.dispatcher.records(10)}
    assert {one.reason for one in logged.values()} == {"test"}
    assert logged["slack"].delivered_at_ms == site.clock.ms
    assert logged["email"].delivered_at_ms is None
    assert logged["email"].last_error == "answered 550: no such user"
    assert {(one.attempts, one.is_waiting) for one in logged.values()} == {(1, False)}
    assert len({one.delivery_id for one in (*chat.attempts, *mail.attempts)} - {""}) == 2


def test_a_test_is_never_sent_again_and_delays_nothing(site, hook):
    hook.errors = [DeliveryError("answered 500", retry=True)]

    async def story():
        await site.dispatcher.try_out(message())
        await site.kill()
        site.start()
        site.offer(site.firing(1))
        await site.until(5)

    asyncio.run(story())
    assert hook.told == ["1 firing"]


def test_a_receiver_that_never_answers_is_given_up(site, hook):
    async def story():
        hook.gate = asyncio.Event()
        (sender,) = site.dispatcher.senders.of("team")
        return await try_out(sender, message(), site.clock.ms, timeout_s=0.01)

    assert asyncio.run(story()).last_error == "no answer within 0.01 s"


def test_a_receiver_that_there_is_not_is_not_tried(site):
    assert list(asyncio.run(site.dispatcher.try_out(message("elsewhere")))) == []
    assert list(site.dispatcher.records(10)) == []
