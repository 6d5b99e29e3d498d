"""Another server's metrics over its API: answers as they are documented, and answers that are none."""

import asyncio
import json
import math
from urllib.parse import parse_qs

import httpx
import numpy as np
import pytest

from trackside.exceptions import QueryError, QueryLimitError, QueryTimeoutError
from trackside.model.labels import Labels
from trackside.server.remote_backend import RemoteBackend


class Server:
    def __init__(self) -> None:
        self.answer: object = None
        self.status = 200
        self.asked: list[tuple[str, dict]] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        if isinstance(self.answer, Exception):
            raise self.answer
        form = parse_qs(request.content.decode() or request.url.query.decode())
        self.asked.append((request.url.path, form))
        body = self.answer if isinstance(self.answer, bytes) else json.dumps(self.answer).encode()
        return httpx.Response(self.status, content=body)

    def ask(self, call):
        async def story():
            async with httpx.AsyncClient(transport=httpx.MockTransport(self.handle)) as client:
                return await call(RemoteBackend("http://prometheus:9090/", client))

        return asyncio.run(story())


@pytest.fixture
def server():
    return Server()


def data(**more) -> dict:
    return {"status": "success", "data": more}


def test_an_instant_vector(server):
    found = [{"metric": {"__name__": "up", "job": "a"}, "value": [1.5, "NaN"]}, {"metric": {}, "value": [1.5, "-Inf"]}]
    server.answer = data(resultType="vector", result=found)
    result = server.ask(lambda backend: backend.query("up", 1_500))
    assert result.value.labels == (Labels.of(__name__="up", job="a"), Labels())
    assert math.isnan(result.value.values[0, 0])
    assert result.value.values[1, 0] == -math.inf
    assert result.value.present.all()
    assert server.asked == [("/api/v1/query", {"query": ["up"], "time": ["1.500"]})]


def test_a_range_with_holes(server):
    found = [{"metric": {"a": "b"}, "values": [[10, "1"], [30, "3"], [35, "9"]]}]
    server.answer = data(resultType="matrix", result=found)
    result = server.ask(lambda backend: backend.query_range("a", 10_000, 40_000, 10_000, 5_000))
    assert result.is_range
    np.testing.assert_array_equal(result.value.present, [[True, False, True, False]])
    np.testing.assert_array_equal(result.value.values[result.value.present], [1, 3])
    assert server.asked[0][1]["timeout"] == ["5000ms"]


@pytest.mark.parametrize(("kind", "value", "expected"), [("scalar", [1, "2.5"], 2.5), ("string", [1, "text"], "text")])
def test_single_values(server, kind, value, expected):
    server.answer = data(resultType=kind, result=value)
    assert server.ask(lambda backend: backend.query("x", 1_000)).value.value == expected


def test_raw_samples(server):
    server.answer = data(resultType="matrix", result=[{"metric": {"a": "b"}, "values": [[1, "2"]]}])
    (series,) = server.ask(lambda backend: backend.query("a[5m]", 1_000)).value
    assert (series.labels, series.times_ms.tolist(), series.values.tolist()) == (Labels.of(a="b"), [1_000], [2.0])


def test_names_and_series(server):
    server.answer = {"status": "success", "data": ["b", "a"]}
    assert server.ask(lambda backend: backend.label_values("job", ["up"], 0, 1_000)) == ["a", "b"]
    assert server.ask(lambda backend: backend.label_names([], 0, 1_000)) == ["a", "b"]
    server.answer = {"status": "success", "data": [{"__name__": "up"}]}
    assert server.ask(lambda backend: backend.series(["up"], 0, 1_000)) == [Labels.of(__name__="up")]
    server.answer = {"status": "success", "data": {"up": [{"type": "gauge", "help": "h", "unit": ""}]}}
    assert server.ask(lambda backend: backend.metadata()) == {"up": {("gauge", "h", "")}}


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        pytest.param(
            httpx.ConnectError("refused"), 200, "http://prometheus:9090 does not answer: refused", id="nobody"
        ),
        pytest.param(b"<html>", 502, "answered 502, not as a Prometheus API does", id="a page"),
        pytest.param(b"[]", 200, "not as a Prometheus API does", id="a list"),
        pytest.param({}, 401, "wants a key", id="no key"),
        pytest.param({"status": "error", "error": "bad query"}, 400, "bad query", id="an error"),
        pytest.param(data(), 200, "no result of a query", id="no result"),
        pytest.param(data(resultType="vector", result=[{"metric": {}}]), 200, "", id="no value"),
        pytest.param(
            data(resultType="vector", result=[{"metric": {}, "value": ["x", "y"]}]), 200, "no result", id="text"
        ),
    ],
)
def test_what_is_no_answer(server, answer, status, reason):
    server.answer, server.status = answer, status
    if not reason:
        assert not server.ask(lambda backend: backend.query("up", 0)).value.present.any()
        return
    with pytest.raises(QueryError, match=reason):
        server.ask(lambda backend: backend.query("up", 0))


def test_a_time_out_is_told_apart(server):
    server.answer, server.status = {"status": "error", "errorType": "timeout", "error": "slow"}, 503
    with pytest.raises(QueryTimeoutError, match="slow"):
        server.ask(lambda backend: backend.query("up", 0))


def test_an_answer_without_end_is_not_read_to_its_end():
    sent = []

    async def parts():
        while True:
            sent.append(1_000)
            yield b"0" * 1_000

    async def story():
        transport = httpx.MockTransport(lambda request: httpx.Response(200, content=parts()))
        async with httpx.AsyncClient(transport=transport) as client:
            await RemoteBackend("http://prometheus:9090", client, max_answer_bytes=5_000).query("up", 0)

    with pytest.raises(QueryLimitError, match="more than 5,000 bytes"):
        asyncio.run(story())
    assert sum(sent) == 6_000
