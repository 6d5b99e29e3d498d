import asyncio

import pytest


def test_sessions_begin_and_end(monitor, shown):
    monitor.sessions.created()
    monitor.sessions.created()
    monitor.sessions.ended()
    assert shown(monitor, "sessions_", "active_") == {
        "sessions_created_total": 2,
        "sessions_ended_total": 1,
        "active_sessions": 1,
    }


def test_a_block_is_a_session_however_it_ends(monitor, shown):
    async def session():
        async with monitor.sessions.track():
            assert shown(monitor, "active_") == {"active_sessions": 1}
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        asyncio.run(session())
    assert shown(monitor, "sessions_", "active_") == {
        "sessions_created_total": 1,
        "sessions_ended_total": 1,
        "active_sessions": 0,
    }


def test_blocks_lie_within_each_other(monitor, shown):
    track = monitor.sessions.track()
    with track, track:
        assert shown(monitor, "active_") == {"active_sessions": 2}
    assert shown(monitor, "active_") == {"active_sessions": 0}
