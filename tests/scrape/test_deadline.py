"""How long a target is waited for, on a machine that has better things to do than to run us."""

import asyncio
import socket
import time

import pytest
import uvloop

from trackside.server.scrape.deadline import answer_within

TIMEOUT_S = 0.05
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(params=sorted(LOOPS))
def run(request):
    def one(story):
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            return runner.run(story())

    return one


async def connection():
    """A reader, and the socket on the other side."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)
    return reader, writer, theirs


def test_what_came_while_we_stood_still_is_taken(run):
    async def story():
        reader, writer, theirs = await connection()

        def stand_still():
            # In this order: the answer is there in time, and nobody looks.
            theirs.sendall(b"up 1\n")
            time.sleep(2 * TIMEOUT_S)

        try:
            async with answer_within(TIMEOUT_S):
                asyncio.get_running_loop().call_soon(stand_still)
                return await reader.readline()
        finally:
            writer.close()
            theirs.close()

    assert run(story) == b"up 1\n"


def test_who_keeps_silent_is_not_waited_for_any_longer(run):
    async def story():
        reader, writer, theirs = await connection()
        began_s = time.monotonic()
        try:
            with pytest.raises(TimeoutError):
                async with answer_within(TIMEOUT_S):
                    await reader.readline()
        finally:
            writer.close()
            theirs.close()
        return time.monotonic() - began_s

    assert run(story) >= TIMEOUT_S * 0.9


def test_who_keeps_silent_while_we_stood_still_gets_as_long_again_and_no_more(run):
    async def story():
        with pytest.raises(TimeoutError):
            async with answer_within(TIMEOUT_S):
                asyncio.get_running_loop().call_soon(time.sleep, 2 * TIMEOUT_S)
                await asyncio.Event().wait()

    run(story)


def test_what_goes_wrong_before_goes_on_its_way_and_leaves_no_timer(run):
    async def story():
        with pytest.raises(OSError, match="gone"):
            async with answer_within(TIMEOUT_S):
                raise OSError("gone")
        # A timer that was left would end this.
        await asyncio.sleep(2 * TIMEOUT_S)

    run(story)
