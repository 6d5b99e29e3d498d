"""A group is told when its wait is over, though the server looks for what is due ten times a second only."""

import httpx

START_S = 0.337


def test_a_group_is_told_when_it_is_due(make_world):
    world = make_world("groups: []")
    world.loop.run_until_complete(pushed_after(world, START_S))
    due_ms = world.clock.time_ms + 5_000
    told_ms = None
    while told_ms is None and world.clock.time_ms < due_ms + 200:
        world.clock.time_ms += 1
        world.loop.run_until_complete(world._second())
        if world.received:
            told_ms = world.clock.time_ms
    assert told_ms is not None and 0 <= told_ms - due_ms <= 10


async def pushed_after(world, wait_s):
    await world.server.schedule.run_due(world.clock.time_ms)
    world.clock.time_ms += round(wait_s * 1_000)
    headers = {"Authorization": f"Bearer {world.server.admin_key}"}
    transport = httpx.ASGITransport(app=world.server.asgi)
    async with httpx.AsyncClient(transport=transport, base_url="http://trackside", headers=headers) as client:
        (await client.post("/api/v2/alerts", json=[{"labels": {"alertname": "Down"}}])).raise_for_status()
