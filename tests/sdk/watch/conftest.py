"""Asks watched applications over their own interfaces, and reads what was counted."""

import asyncio
from dataclasses import dataclass
from io import BytesIO

import httpx
import pytest

from trackside import Monitor


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict
    text: str


@pytest.fixture
def monitor():
    return Monitor("shop", environ={})


@pytest.fixture
def off():
    return Monitor("shop", environ={"ENABLE_PROMETHEUS_METRICS": "false"})


@pytest.fixture
def get():
    """Answer of an ASGI application."""

    def get(app, path, method="GET", root_path="", **options):
        async def ask():
            transport = httpx.ASGITransport(app, raise_app_exceptions=False, root_path=root_path)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
                response = await client.request(method, path, **options)
                return Answer(response.status_code, dict(response.headers), response.text)

        return asyncio.run(ask())

    return get


@pytest.fixture
def get_wsgi():
    """Answer of a WSGI application."""

    def get(app, path, method="GET"):
        started = []
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "SCRIPT_NAME": "",
            "QUERY_STRING": "",
            "SERVER_NAME": "shop",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.input": BytesIO(),
            "wsgi.url_scheme": "http",
            "wsgi.errors": BytesIO(),
            "wsgi.version": (1, 0),
        }
        body = app(environ, lambda status, headers, exc_info=None: started.append((status, headers)))
        try:
            text = b"".join(body).decode()
        finally:
            if hasattr(body, "close"):
                body.close()
        status, headers = started[-1]
        return Answer(int(status[:3]), {name.lower(): value for name, value in headers}, text)

    return get


@pytest.fixture
def counted():
    """{(method, path, status): number of requests}"""

    def counted(monitor):
        return {
            tuple(sample.labels.get(name) for name in ("method", "path", "status")): sample.value
            for family in monitor.registry.collect()
            if family.name == "http_requests_total"
            for sample in family.samples
        }

    return counted


@pytest.fixture
def seconds():
    """Sum of the durations of all requests."""

    def seconds(monitor):
        return sum(
            sample.value
            for family in monitor.registry.collect()
            for sample in family.samples
            if sample.name == "http_request_duration_seconds_sum"
        )

    return seconds
