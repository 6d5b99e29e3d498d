import asyncio
import inspect

import pytest

from trackside import Monitor
from trackside.sdk.families.nothing import NOTHING
from trackside.sdk.switched_off import NO_INSTRUMENT

OFFERS = {
    "ai": lambda monitor: monitor.ai("m", operation="chat"),
    "integration": lambda monitor: monitor.integration("slack", "post_message"),
    "job": lambda monitor: monitor.job("resize", queue="high"),
    "cache": lambda monitor: monitor.cache("a"),
    "messages": lambda monitor: monitor.messages,
    "processing": lambda monitor: monitor.messages.processing("a"),
    "buffer": lambda monitor: monitor.buffer("u", capacity=1),
    "sessions": lambda monitor: monitor.sessions,
    "a session": lambda monitor: monitor.sessions.track(),
    "db_write": lambda monitor: monitor.db_write("t", records=1),
    "pending_writes": lambda monitor: monitor.pending_writes("t"),
    "connections": lambda monitor: monitor.connections("edge"),
    "a connection": lambda monitor: monitor.connections("edge").track(),
    "voice_participants": lambda monitor: monitor.voice_participants("c"),
}


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
class TestSwitchedOff:
    def test_it_is_one_object_that_does_nothing(self, off, offer):
        assert offer(off) in (NOTHING, NO_INSTRUMENT)

    def test_it_has_every_method_of_what_it_stands_for(self, monitor, off, offer):
        real, nothing = offer(monitor), offer(off)
        internal = {
            "publish",
            "raw",
            "rows",
            "add",
            "begin",
            "write",
            "pending",
            "guard",
            "hit_rates",
            "catch_up",
            "lock",
        }
        names = {name for name in dir(real) if not name.startswith("_")} - internal
        missing = {name for name in names if callable(getattr(real, name)) and not hasattr(nothing, name)}
        assert not missing

    def test_nothing_is_registered(self, offer):
        monitor = Monitor(enabled=False, environ={})
        offer(monitor)
        assert [family.name for family in monitor.registry.collect()] == ["trackside_sdk_errors_total"]


def test_everything_can_be_called(off):
    with off.ai("m") as call:
        call.tokens(input=1, output=2)
        call.first_token()
        call.usage_of(object())
    off.cache("a").hit()
    off.cache("a").size.set(1)
    off.messages.received("a", "u")
    with off.messages.processing("a"), off.sessions.track(), off.buffer("u", 1) as buffer:
        buffer.set(1)
    with off.db_write("t") as write:
        write.records = 5
    off.pending_writes("t").inc()
    off.business("a", lambda: 1 / 0)
    off.ai_prices.clear()
    assert off.exposition() == b""


def test_asynchronous_blocks_too(off):
    async def use():
        async with off.ai("m") as call, off.db_write("t"), off.sessions.track(), off.buffer("u", 1):
            call.tokens(input=1)
        return "through"

    assert asyncio.run(use()) == "through"


def test_functions_stay_themselves(off):
    def function():
        return 1

    for decorate in (
        off.ai("m"),
        off.cache("a").lookup,
        off.cache("a").follow,
        off.messages.processing("a"),
        off.sessions.track(),
        off.db_write("t"),
        off.connections("edge").track(),
    ):
        assert decorate(function) is function


def test_errors_pass(off):
    with pytest.raises(KeyError), off.ai("m"), off.db_write("t"), off.messages.processing("a"):
        raise KeyError


def test_it_says_no_more_than_it_must():
    assert not hasattr(NOTHING, "__dict__")
    assert all(not inspect.iscoroutinefunction(getattr(NOTHING, name)) for name in dir(NOTHING) if name[0] != "_")
