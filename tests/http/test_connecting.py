"""From a name to a connection: all of its addresses are tried, and none holds up the others."""

import asyncio
import ssl

import httpx
import pytest

from trackside.server.http import connecting
from trackside.server.http.connecting import connected

CONTEXT = ssl.create_default_context()


@pytest.fixture
def addresses(monkeypatch):
    """What the name `many` stands for; how each answers: "takes", "refuses", or "silent"."""
    monkeypatch.setattr(connecting, "HEAD_START_S", 0.01)
    asked, made = [], []

    class Taken:
        aborted = False

        def abort(self):
            self.aborted = True

    def stand_for(answers):
        async def attempt(origin, context, address):
            asked.append(address)
            answer = answers[address]
            if answer == "silent":
                await asyncio.sleep(100)
            if answer == "refuses":
                raise ConnectionRefusedError(f"{address} refuses")
            made.append(Taken())
            return made[-1]

        async def resolved(host, port, **_):
            return [(None, None, None, "", (address, port)) for address in answers]

        monkeypatch.setattr(connecting, "_attempt", attempt)
        return resolved, asked

    return stand_for


def found(answers, addresses, timeout_s=60.0):
    resolved, asked = addresses(answers)

    async def story():
        asyncio.get_running_loop().getaddrinfo = resolved
        return await connected(("http", "many", 80, "many"), CONTEXT, timeout_s)

    return asyncio.run(story()), asked


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        pytest.param({"a": "takes", "b": "takes"}, ["a"], id="the first"),
        pytest.param({"a": "refuses", "b": "takes"}, ["a", "b"], id="the first refuses"),
        pytest.param({"a": "silent", "b": "takes"}, ["a", "b"], id="the first keeps silent"),
        pytest.param({"a": "silent", "b": "refuses", "c": "silent", "d": "takes"}, ["a", "b", "c", "d"], id="the last"),
    ],
)
def test_an_address_that_does_not_answer_holds_up_nobody(addresses, answers, asked):
    connection, tried = found(answers, addresses)
    assert tried == asked
    assert not connection.aborted


@pytest.mark.parametrize(
    ("answers", "error", "reason"),
    [
        pytest.param({"a": "refuses", "b": "refuses"}, httpx.ConnectError, "b refuses", id="all refuse"),
        pytest.param({"a": "refuses", "b": "silent"}, httpx.ConnectTimeout, "in time", id="one keeps silent"),
        pytest.param({}, httpx.ConnectError, "no address", id="no address"),
    ],
)
def test_nobody_is_there(addresses, answers, error, reason):
    with pytest.raises(error, match=reason):
        found(answers, addresses, timeout_s=0.05 if error is httpx.ConnectTimeout else 60)


def test_a_name_that_nobody_knows():
    async def story():
        await connected(("http", "nowhere.invalid", 80, "nowhere.invalid"), CONTEXT, 60)

    with pytest.raises(httpx.ConnectError, match="cannot be resolved"):
        asyncio.run(story())
