import asyncio

import pytest
from starlette.requests import Request

from trackside.exceptions import LimitError
from trackside.server.web.body import body_of


def request(*chunks):
    parts = iter(chunks)
    read = []

    async def receive():
        read.append(next(parts))
        return {"type": "http.request", "body": read[-1], "more_body": len(read) < len(chunks)}

    return Request({"type": "http", "method": "POST", "headers": []}, receive), read


def test_a_body_is_read_to_its_end():
    assert asyncio.run(body_of(request(b"ab", b"", b"cd")[0], 4)) == b"abcd"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        pytest.param({}, "the body is longer than 1,000 bytes", id="as it is"),
        pytest.param({"what": "form"}, "the form is longer than 1,000 bytes", id="by its name"),
        pytest.param({"advice": "send less"}, "the body is longer than 1,000 bytes: send less", id="with what to do"),
    ],
)
def test_what_is_too_long_is_refused_and_not_read_further(words, reason):
    asked, read = request(b"x" * 600, b"x" * 600, b"x")
    with pytest.raises(LimitError) as raised:
        asyncio.run(body_of(asked, 1_000, **words))
    assert str(raised.value) == reason
    assert len(read) == 2
