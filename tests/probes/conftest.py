"""Servers on loopback that answer, or misbehave, as a test wishes; certificates of an authority made for the tests."""

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from trackside.server.clock import SystemClock
from trackside.server.probes.building import Probes
from trackside.server.probes.config import CheckConfig
from trackside.server.probes.network import Network, SystemResolver


class Authority:
    def __init__(self, folder):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Trackside test authority")])
        until = datetime.now(UTC) + timedelta(days=3650)
        built = self._builder(self._name, self._key.public_key(), until).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.certificate = built.sign(self._key, hashes.SHA256())
        self.file = folder / "authority.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject, public_key, until):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
            .not_valid_after(until)
        )

    def server(self, *names, until=None):
        """A context for a server that has these names, and when its certificate ends."""
        until = (until or datetime.now(UTC) + timedelta(days=90)).replace(microsecond=0)
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = [x509.IPAddress(ip_address(one)) if one[0].isdigit() else x509.DNSName(one) for one in names]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        built = self._builder(subject, key.public_key(), until)
        built = built.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        file = self._folder / f"{names[0]}-{until:%Y%m%d%H%M%S}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        signed = built.sign(self._key, hashes.SHA256())
        file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context, until.timestamp()


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def serving():
    """`async with serving(handler) as port`: `handler(reader, writer)` for each connection."""

    @asynccontextmanager
    async def serving(handler, *, tls=None, host="127.0.0.1"):
        tasks = set()

        async def handle(reader, writer):
            tasks.add(asyncio.current_task())
            with suppress(OSError, asyncio.IncompleteReadError):
                await handler(reader, writer)
            writer.transport.abort()

        server = await asyncio.start_server(handle, host, 0, ssl=tls)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return serving


@pytest.fixture
def answering(serving):
    """`async with answering(b"HTTP/1.1 200 OK…") as (port, requests)`: the same bytes to each request."""

    @asynccontextmanager
    async def answering(*answers, tls=None, host="127.0.0.1"):
        requests = []

        async def handler(reader, writer):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
            )
            requests.append(head + await reader.readexactly(length))
            writer.write(answers[min(len(requests), len(answers)) - 1].replace(b"PORT", str(port).encode()))
            await writer.drain()

        async with serving(handler, tls=tls, host=host) as port:
            yield port, requests

    return answering


@pytest.fixture
def probed():
    """`await probed(url=…, …)`: the result of one attempt at a check."""
    resolver = SystemResolver()
    probes = Probes(Network(SystemClock(), resolver))

    async def probed(resolve=None, **keys):
        check = CheckConfig.model_validate({"name": "it", "timeout": "30s", **keys})
        used = probes if resolve is None else Probes(Network(SystemClock(), resolve))
        return await used.of(check)()

    yield probed
    resolver.close()


def page(body, *headers, status="200 OK"):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.fixture(name="page")
def page_fixture():
    """An HTTP answer as bytes."""
    return page
