"""Each series that the blackbox exporter has for the same service is there, with the same labels."""

import asyncio
import os
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager

import pytest
from free_ports import free_port

from trackside.server.probes.collector import probe_families
from trackside.wire import exposition

pytestmark = pytest.mark.peer

PROGRAM = "prometheus-blackbox-exporter"
CONFIG = """
modules:
  http_2xx: {prober: http, http: {preferred_ip_protocol: ip4, no_follow_redirects: false, tls_config: {ca_file: "CA"}}}
  tcp_connect: {prober: tcp}
  tcp_connect_tls: {prober: tcp, tcp: {tls: true, tls_config: {ca_file: "CA"}}}
  dns_udp: {prober: dns, dns: {query_name: example.org, query_type: A}}
"""


@contextmanager
def blackbox(folder, authority):
    if shutil.which(PROGRAM) is None:
        assert not os.environ.get("CI"), f"{PROGRAM} is missing: apt-get install {PROGRAM}"
        pytest.skip(f"{PROGRAM} is not installed")
    (folder / "blackbox.yml").write_text(CONFIG.replace("CA", str(authority)))
    port = free_port()
    command = [PROGRAM, f"--config.file={folder / 'blackbox.yml'}", f"--web.listen-address=127.0.0.1:{port}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield port
        finally:
            process.kill()


def asked(port, module, target):
    query = urllib.parse.urlencode({"module": module, "target": target})
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/probe?{query}") as answer:
                return series_of(answer.read())
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.05)


def series_of(body):
    return {
        (sample.name, sample.labels): sample.value
        for family in exposition.parse(body).families
        for sample in family.samples
    }


def of(result):
    return series_of(exposition.render(probe_families(result)))


CASES = [
    pytest.param("http_2xx", "http", False, id="http"),
    pytest.param("http_2xx", "https", True, id="https"),
    pytest.param("tcp_connect", "tcp", False, id="tcp"),
    pytest.param("tcp_connect_tls", "tcp", True, id="tcp over TLS"),
]


@pytest.mark.parametrize(("module", "scheme", "tls"), CASES)
def test_what_it_says_of_a_service(module, scheme, tls, tmp_path, authority, answering, page, probed):
    context = authority.server("127.0.0.1")[0] if tls else None
    with blackbox(tmp_path, authority.file) as port:

        async def scenario():
            body = page(b'{"status": "ok"}', "Last-Modified: Tue, 25 Nov 2025 00:00:00 GMT")
            async with answering(body, tls=context) as (service, _):
                address = f"127.0.0.1:{service}"
                target = f"{scheme}://{address}/" if scheme != "tcp" else address
                theirs = await asyncio.to_thread(asked, port, module, target)
                keys = {"tls": {"ca_file": str(authority.file)}} if tls else {}
                url = target if scheme != "tcp" else f"tcp://{address}"
                return theirs, of(await probed(url=url, module=module, **keys))

        theirs, ours = asyncio.run(scenario())

    assert theirs[next(one for one in theirs if one[0] == "probe_success")] == 1
    assert sorted(map(str, theirs.keys() - ours.keys())) == []
    same = (
        "probe_success",
        "probe_http_status_code",
        "probe_http_ssl",
        "probe_ssl_earliest_cert_expiry",
        "probe_ip_protocol",
    )
    assert [(one, theirs[one], ours[one]) for one in theirs if one[0] in same and theirs[one] != ours[one]] == []


def test_what_it_says_of_a_service_that_is_not_there(tmp_path, authority, probed):
    with blackbox(tmp_path, authority.file) as port:
        theirs = asked(port, "http_2xx", "http://127.0.0.1:1/")
    ours = of(asyncio.run(probed(url="http://127.0.0.1:1/", module="http_2xx")))

    assert sorted(map(str, theirs.keys() - ours.keys())) == []
    assert ours[next(one for one in ours if one[0] == "probe_success")] == 0
