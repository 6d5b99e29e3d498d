"""HTTP clients: shared by those who ask alike, and renewed with their certificates."""

import asyncio
import os
import shutil
import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from trackside.exceptions import DeliveryError
from trackside.server.receivers.clients import Clients, tls_context
from trackside.server.receivers.http_config import HttpConfig, TlsConfig

CERTIFICATE = Path(__file__).parent / "testdata" / "untrusted.pem"


class FakeClient:
    def __init__(self, http):
        self.http = http
        self.closed = False

    async def aclose(self):
        self.closed = True


def run(story):
    async def with_clients():
        clients = Clients(FakeClient)
        await story(clients)
        await clients.close()

    asyncio.run(with_clients())


def config(**values):
    return HttpConfig.model_validate(values)


def test_those_who_ask_alike_share_one():
    async def story(clients):
        plain = clients.get(config())
        assert clients.get(config(authorization={"credentials": "a"}, follow_redirects=False)) is plain
        others = [
            config(proxy_url="http://p"),
            config(proxy_url="http://p", proxy_connect_header={"X": ["a"]}),
            config(proxy_url="http://p", proxy_connect_header={"X": ["b"]}),
            config(tls_config={"insecure_skip_verify": True}),
            config(tls_config={"cert": "c", "key": "one"}),
            config(tls_config={"cert": "c", "key": "two"}),
            config(enable_http2=False),
        ]
        assert len({id(clients.get(one)) for one in [*others, config()]}) == len(others) + 1

    run(story)


def test_a_renewed_certificate_makes_a_new_one(tmp_path):
    file = tmp_path / "ca.pem"
    shutil.copy(CERTIFICATE, file)

    async def story(clients):
        first = clients.get(config(tls_config={"ca_file": str(file)}))
        assert clients.get(config(tls_config={"ca_file": str(file)})) is first
        os.utime(file, ns=(1, 1))
        second = clients.get(config(tls_config={"ca_file": str(file)}))
        await asyncio.sleep(0)
        assert (second is first, first.closed, second.closed) == (False, True, False)

    run(story)


def test_all_are_closed_at_the_end():
    made = []

    async def story(clients):
        made.append(clients.get(config()))

    run(story)
    assert made[0].closed


@pytest.mark.parametrize(
    ("tls", "error"),
    [
        ({"ca_file": "/nowhere"}, OSError),
        ({"cert_file": str(CERTIFICATE), "key_file": "/nowhere"}, OSError),
        ({"ca": "no certificate"}, (OSError, ValueError)),
        ({"ca_ref": "name"}, DeliveryError),
    ],
)
def test_certificates_that_cannot_be_used(tls, error):
    with pytest.raises(error):
        tls_context(TlsConfig.model_validate(tls))


def test_versions_of_tls():
    context = tls_context(TlsConfig(min_version="TLS12", max_version="TLS12"))
    assert (context.minimum_version.name, context.maximum_version.name) == ("TLSv1_2", "TLSv1_2")


@pytest.mark.parametrize(
    ("login", "header"),
    [
        pytest.param("", None, id="nobody"),
        pytest.param("user:abc-secret@", "Basic dXNlcjphYmMtc2VjcmV0", id="who stands in the address"),
    ],
)
def test_an_address_may_say_who_asks(deliver, integration, new_notification, login, header):
    told = deliver(lambda url: integration("webhook", url=url.replace("//", f"//{login}"))(url), new_notification())
    ((_, headers, _),) = told.requests
    assert headers.get("authorization") == header


def test_who_speaks_http_1_offers_nothing_else(deliver, integration, new_notification, monkeypatch):
    """The context that an HTTP/2 client has written its offers into is not the one of the others."""
    offered = []
    offer = ssl.SSLContext.set_alpn_protocols

    def noted(context, protocols):
        offered.append((id(context), protocols))
        offer(context, protocols)

    monkeypatch.setattr(ssl.SSLContext, "set_alpn_protocols", noted)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    for http2 in (True, False):
        with suppress(DeliveryError):
            make = integration("webhook", http_config={"enable_http2": http2}, url="{url}")
            deliver(make, new_notification(), tls=context)
    last = dict(offered)
    assert ["http/1.1"] in last.values()
    assert ["http/1.1", "h2"] in last.values()


@pytest.mark.parametrize("name", ["Accept", "accept"])
def test_a_header_of_the_configuration_takes_the_place_of_the_usual_one(deliver, integration, new_notification, name):
    make = integration("webhook", http_config={"http_headers": {name: {"values": ["text/plain"]}}}, url="{url}")
    told = deliver(make, new_notification())
    ((_, headers, _),) = told.requests
    assert headers["accept"] == "text/plain"


def test_an_impossible_port_is_an_address_that_is_not_valid(integration, new_notification):
    async def story():
        clients = Clients()
        with pytest.raises(DeliveryError, match="not valid") as caught:
            await integration("webhook", url="http://127.0.0.1:99999/")("").send(new_notification(), clients.get)
        assert not caught.value.retry
        await clients.close()

    asyncio.run(story())
