import asyncio

import pytest

from trackside import Monitor
from trackside.sdk.families.connections import MAX_CHANNELS, MAX_KINDS


def test_each_kind_is_a_family(monitor, shown):
    edge, consumers = monitor.connections("edge_relay"), monitor.connections("consumer")
    edge.opened()
    with consumers.track():
        assert shown(monitor, "edge_relay_", "consumer_") == {"edge_relay_connections": 1, "consumer_connections": 1}
    edge.closed()
    assert shown(monitor, "edge_relay_", "consumer_") == {"edge_relay_connections": 0, "consumer_connections": 0}


def test_a_handler_is_decorated(monitor, shown):
    @monitor.connections("edge-relay").track()
    async def handle(socket):
        return shown(monitor, "edge_relay")

    assert asyncio.run(handle(None)) == {"edge_relay_connections": 1}
    assert shown(monitor, "edge_relay") == {"edge_relay_connections": 0}


@pytest.mark.parametrize("kind", ["", "a b", "{}", "ümlaut"])
def test_a_kind_that_makes_no_name_is_not_shown_and_not_raised(monitor, kind):
    with monitor.connections(kind).track():
        pass


def test_made_up_kinds_are_one_family(monitor, shown):
    for number in range(MAX_KINDS + 5):
        monitor.connections(f"kind_{number}").opened()
    assert len(shown(monitor, "kind_")) == MAX_KINDS
    assert shown(monitor, "other_connections") == {"other_connections": 5}


@pytest.mark.parametrize("kind", [None, 3, b"edge"])
def test_what_is_no_kind_is_refused(monitor, kind):
    with pytest.raises(TypeError, match='of a kind such as "edge_relay"; got'):
        monitor.connections(kind)


class TestVoice:
    def test_participants_are_counted_by_channel(self, shown):
        monitor = Monitor(prefix="railgun", environ={})
        monitor.voice_participants("c1").joined()
        monitor.voice_participants("c1").joined()
        monitor.voice_participants(2).joined()
        monitor.voice_participants("c1").left()
        assert shown(monitor, "railgun_voice") == {
            "railgun_voice_participants{channel_id=c1}": 1,
            "railgun_voice_participants{channel_id=2}": 1,
        }

    def test_an_empty_channel_is_not_shown(self, monitor, shown):
        with monitor.voice_participants("c1").track():
            pass
        monitor.voice_participants("c1").left()
        assert shown(monitor, "voice") == {}

    def test_channels_beyond_a_number_share_a_series_and_nobody_is_lost(self, monitor, shown):
        channels = [monitor.voice_participants(number) for number in range(MAX_CHANNELS + 10)]
        for channel in channels:
            channel.joined()
        found = shown(monitor, "voice")
        assert len(found) == MAX_CHANNELS + 1
        assert found["voice_participants{channel_id=(overflow)}"] == 10
        for channel in channels[::-1]:
            channel.left()
        assert shown(monitor, "voice") == {}
