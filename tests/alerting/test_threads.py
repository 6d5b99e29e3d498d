"""What a receiver calls its messages is remembered, so that the next one can take the place of the last."""

import asyncio

from trackside.exceptions import DeliveryError

SECONDS = "{receiver: team, group_by: [alertname], group_wait: 1s, group_interval: 10s, repeat_interval: 1h}"


def naming(integration):
    """An integration that calls its messages m1, m2 …"""

    class Naming(integration):
        async def send(self, notification):
            await super().send(notification)
            return f"m{len(self.taken)}"

    return Naming()


def test_the_next_message_is_told_what_the_last_is_called(new_site, integration):
    hook = naming(integration)
    site = new_site(SECONDS, team=hook)

    async def story():
        site.offer(site.firing(1))
        await site.until(5)
        site.offer(site.firing(1), site.firing(2, since=5))
        await site.until(15)
        await site.kill()
        site.start()
        site.offer(site.firing(1), site.firing(2, since=5), site.firing(3, since=15))
        await site.until(30)

    asyncio.run(story())
    assert [one.thread for one in hook.taken] == ["", "m1", "m2"]


def test_each_attempt_says_which_delivery_it_is(site, hook):
    hook.errors = [DeliveryError("answered 500", retry=True)] * 2

    async def story():
        site.offer(site.firing(1))
        await site.until(10)
        site.offer(site.firing(1), site.firing(2, since=10))
        await site.until(40)

    asyncio.run(story())
    deliveries = [one.delivery_id for one in hook.attempts]
    assert len(deliveries) == 4
    assert len(set(deliveries[:3])) == 1
    assert deliveries[3] not in ("", deliveries[0])
