import asyncio
import gzip
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import uvloop

from trackside.server.probes.network import Found
from trackside.server.probes.result import MAX_ERROR_CHARS, Kind, Reason


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def run(request):
    def run(coroutine):
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(coroutine)

    return run


def test_a_page_that_answers_is_up_and_tells_its_phases(run, answering, page, probed):
    async def scenario():
        answer = page(b"hello", "Last-Modified: Wed, 21 Oct 2015 07:28:00 GMT")
        async with answering(answer) as (port, requests):
            return await probed(url=f"http://127.0.0.1:{port}/health?a=b"), requests

    result, requests = run(scenario())

    assert (result.success, result.reason, result.error, result.kind) == (True, Reason.NONE, "", Kind.HTTP)
    assert set(result.phases_s) == {"resolve", "connect", "processing", "transfer"}
    assert 0 < sum(result.phases_s.values()) <= result.duration_s < 30
    assert (result.ip, result.ip_version) == ("127.0.0.1", 4)
    facts = result.http
    assert (facts.status, facts.version, facts.content_length, facts.body_bytes) == (200, 1.1, 5, 5)
    assert facts.last_modified_s == 1445412480
    assert requests[0].startswith(b"GET /health?a=b HTTP/1.1\r\nHost: 127.0.0.1:")


def test_method_headers_body_and_credentials_are_sent(answering, page, probed):
    async def scenario():
        async with answering(page(b"")) as (port, requests):
            result = await probed(
                url=f"http://127.0.0.1:{port}/",
                method="PUT",
                body="übung",
                headers={"X-One": "1", "User-Agent": "me", "Host": "shop.example"},
                basic_auth={"username": "a", "password": "b"},
            )
            return result, requests[0].decode()

    result, request = asyncio.run(scenario())

    assert result.success
    assert request.startswith("PUT / HTTP/1.1\r\n")
    assert request.endswith("\r\n\r\nübung")
    lines = request.split("\r\n")
    expected = {"X-One: 1", "User-Agent: me", "Host: shop.example", "Authorization: Basic YTpi", "Content-Length: 6"}
    assert expected <= set(lines)
    assert len([line for line in lines if line.lower().startswith(("host:", "user-agent:"))]) == 2


BODY = b'{"status": "ok", "db": true, "checks": [{"name": "redis", "ms": 3}]}'
JUDGED = [
    pytest.param({}, "404 Not Found", Reason.STATUS, "HTTP 404; expected 200-299", id="another status"),
    pytest.param({"status": [404, "5xx"]}, "404 Not Found", Reason.NONE, "", id="a status that is expected"),
    pytest.param({"status": "5xx"}, "200 OK", Reason.STATUS, "HTTP 200; expected 500-599", id="not even success"),
    pytest.param({"keyword": "ok"}, "200 OK", Reason.NONE, "", id="keyword"),
    pytest.param({"keyword": "nope"}, "200 OK", Reason.BODY, "'nope' is not in the answer", id="no keyword"),
    pytest.param({"no_keyword": "redis"}, "200 OK", Reason.BODY, "'redis' is in the answer", id="a forbidden keyword"),
    pytest.param({"matches": r'"ms": \d'}, "200 OK", Reason.NONE, "", id="expression"),
    pytest.param({"matches": "^never$"}, "200 OK", Reason.BODY, "does not match", id="no match"),
    pytest.param({"no_match": "red.s"}, "200 OK", Reason.BODY, "matches 'red.s'", id="a forbidden match"),
    pytest.param({"json": {"status": "ok", "db": True, "checks[0].ms": 3}}, "200 OK", Reason.NONE, "", id="json"),
    pytest.param({"json": {"db": 1}}, "200 OK", Reason.BODY, "expected 1, found true", id="json: true is not 1"),
    pytest.param({"json": {"checks[1].ms": 3}}, "200 OK", Reason.BODY, "there is no 1 in ['checks']", id="json: gone"),
    pytest.param({"expect_header": {"content-type": "^application/json"}}, "200 OK", Reason.NONE, "", id="header"),
    pytest.param({"expect_header": {"Content-Type": "html"}}, "200 OK", Reason.HEADER, "Content-Type is", id="other"),
    pytest.param({"expect_header": {"X-Gone": "."}}, "200 OK", Reason.HEADER, "X-Gone is missing", id="no header"),
]


@pytest.mark.parametrize(("keys", "status", "reason", "text"), JUDGED)
def test_what_is_expected_of_an_answer(keys, status, reason, text, answering, page, probed):
    async def scenario():
        async with answering(page(BODY, "Content-Type: application/json", status=status)) as (port, _):
            return await probed(url=f"http://127.0.0.1:{port}", **keys)

    result = asyncio.run(scenario())

    assert result.reason is reason
    assert text in result.error
    assert result.success is (reason is Reason.NONE)
    by_regex = reason is Reason.HEADER or bool(reason is Reason.BODY and keys.keys() & {"matches", "no_match"})
    assert result.by_regex is by_regex


HOSTILE = [
    pytest.param(b"", Reason.CLOSED, id="nothing"),
    pytest.param(b"\x16\x03\x01\x00\x00garbage" * 9, Reason.PROTOCOL, id="garbage"),
    pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", Reason.PROTOCOL, id="another protocol"),
    pytest.param(b"HTTP/1.1 999999 OK\r\n\r\n", Reason.PROTOCOL, id="a status that is none"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", Reason.CLOSED, id="cut off"),
    pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Reason.PROTOCOL, id="odd chunk"),
    pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 200_000, Reason.PROTOCOL, id="a header without end"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", Reason.PROTOCOL, id="length"),
    pytest.param(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", Reason.STATUS, id="upgrade"),
    pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000, Reason.PROTOCOL, id="interim answers without end"),
    pytest.param(b"HTTP/1.1 503 \x1b[31m\xff\r\n\r\n", Reason.STATUS, id="escapes"),
    pytest.param(b"HTTP/1.1 302 Found\r\nLocation: gopher://a/\r\n\r\n", Reason.REDIRECT, id="to another protocol"),
    pytest.param(b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n", Reason.REDIRECT, id="to no address"),
    pytest.param(b"HTTP/1.1 302 Found\r\nLocation: http://a:99999/\r\n\r\n", Reason.REDIRECT, id="to no port"),
    pytest.param(b"HTTP/1.1 302 Found\r\nLocation: //a\xa0b/\r\n\r\n", Reason.REDIRECT, id="to an odd name"),
    pytest.param(b"HTTP/1.1 302 Found\r\nLocation: http://:0/\r\n\r\n", Reason.REDIRECT, id="to nobody"),
    pytest.param(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", Reason.STATUS, id="to nowhere"),
]


@pytest.mark.parametrize(("answer", "reason"), HOSTILE)
def test_answers_that_are_none_fail_with_a_reason(answer, reason, answering, probed):
    async def scenario():
        async with answering(answer) as (port, _):
            return await probed(url=f"http://127.0.0.1:{port}/")

    result = asyncio.run(scenario())

    assert (result.success, result.reason) == (False, reason)
    assert result.error.isprintable()
    assert 0 < len(result.error) <= MAX_ERROR_CHARS


@pytest.mark.parametrize("keys", [{"keyword": "x"}, {"json": {"a": 1}}], ids=["keyword", "json"])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"9" * 100_000, id="a number of 100,000 digits"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
        pytest.param(b"", id="empty"),
    ],
)
def test_odd_bodies_only_fail(keys, body, answering, page, probed):
    async def scenario():
        async with answering(page(body)) as (port, _):
            return await probed(url=f"http://127.0.0.1:{port}/", **keys)

    assert asyncio.run(scenario()).reason is Reason.BODY


def test_a_body_without_end_is_read_up_to_a_limit(run, serving, probed):
    sent = 0

    async def endless(reader, writer):
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nstart")
        while True:
            writer.write(b"x" * 65_536)
            sent += 65_536
            await writer.drain()

    async def scenario():
        async with serving(endless) as port:
            good = await probed(url=f"http://127.0.0.1:{port}/", keyword="start")
            bad = await probed(url=f"http://127.0.0.1:{port}/", keyword="end")
            none = await probed(url=f"http://127.0.0.1:{port}/", json={"a": 1})
            return good, bad, none

    good, bad, none = run(scenario())

    assert good.success
    assert "in the first 1 MiB" in bad.error
    assert "too long to look for JSON" in none.error
    assert sent < 64 << 20


def test_packed_bodies_are_unpacked_up_to_the_limit(answering, page, probed):
    async def scenario():
        bomb = gzip.compress(b"ok" + bytes(200 << 20), 9)
        async with answering(page(bomb, "Content-Encoding: gzip")) as (port, _):
            return await probed(url=f"http://127.0.0.1:{port}/", keyword="ok")

    result = asyncio.run(scenario())

    assert result.success
    assert result.http.body_bytes <= 1 << 20


@pytest.mark.parametrize("coding", ["br", "gzip"])
def test_a_packing_that_nobody_can_undo_fails(coding, answering, page, probed):
    async def scenario():
        async with answering(page(b"plain", f"Content-Encoding: {coding}")) as (port, _):
            return await probed(url=f"http://127.0.0.1:{port}/", keyword="plain")

    assert asyncio.run(scenario()).reason is Reason.BODY


SLOW = [
    pytest.param(b"", "processing", id="silence"),
    pytest.param(b"HTTP/1.1 200 OK\r\nX-", "processing", id="half a head"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "transfer", id="half a body"),
]


@pytest.mark.parametrize(("beginning", "phase"), SLOW)
def test_the_deadline_holds_and_says_where_it_was_reached(beginning, phase, run, serving, probed):
    async def slow(reader, writer):
        writer.write(beginning)
        await asyncio.sleep(60)

    async def scenario():
        async with serving(slow) as port:
            return await probed(url=f"http://127.0.0.1:{port}/", timeout="200ms")

    for _ in range(5):
        result = run(scenario())
        # A busy machine may have used the time up before it came to that.
        if result.phases_s.get(phase, 0) > 0.1:
            break

    assert result.reason is Reason.TIMEOUT
    assert result.error == f"no complete answer within 0.2 s (while in phase {phase})"
    # A loop may wake up a millisecond early.
    assert 0.19 <= result.duration_s < 30
    assert result.phases_s[phase] > 0.1


def test_one_byte_at_a_time_does_not_outlast_the_deadline(serving, probed):
    async def dripping(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async def scenario():
        async with serving(dripping) as port:
            return await probed(url=f"http://127.0.0.1:{port}/", timeout="200ms")

    result = asyncio.run(scenario())

    assert (result.reason, result.http) == (Reason.TIMEOUT, None)


def test_a_closed_port_is_refused(run, probed):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        result = run(probed(url=f"http://127.0.0.1:{port}/"))

    assert (result.reason, result.ip) == (Reason.REFUSED, "127.0.0.1")
    assert result.http is None


def test_a_name_that_nobody_knows_is_told_apart(probed):
    result = asyncio.run(probed(url="http://nothing.invalid/"))

    assert result.reason is Reason.RESOLVE
    assert result.ip == ""


@pytest.mark.parametrize("error", [RuntimeError("bug"), UnicodeError("odd"), RecursionError()], ids=repr)
def test_a_bug_of_ours_is_a_failed_probe_and_nothing_more(error, probed):
    async def broken(host, port, family):
        raise error

    result = asyncio.run(probed(broken, url="http://a.example/"))

    assert result.reason is Reason.INTERNAL
    assert type(error).__name__ in result.error


def test_a_name_server_that_hangs_is_a_timeout_of_its_phase(probed):
    async def hanging(host, port, family):
        await asyncio.sleep(60)

    result = asyncio.run(probed(hanging, url="http://a.example/", timeout="100ms"))

    assert result.error.endswith("(while in phase resolve)")
    assert result.lookup_s > 0.05


def test_the_next_address_is_tried_when_one_is_dead(answering, page, probed):
    async def two(host, port, family):
        dead = Found(socket.AF_INET, ("127.0.0.1", 1))
        return [dead, Found(socket.AF_INET, ("127.0.0.1", port))]

    async def scenario():
        async with answering(page(b"")) as (port, requests):
            result = await probed(two, url=f"http://shop.example:{port}/")
            return result, requests

    result, requests = asyncio.run(scenario())

    assert result.success
    assert b"\r\nHost: shop.example:" in requests[0]


IP = [
    pytest.param("::1", "6", "[::1]", Reason.NONE, 6, id="only 6"),
    pytest.param("::1", "any", "[::1]", Reason.NONE, 6, id="6 in the address"),
    pytest.param("127.0.0.1", 4, "127.0.0.1", Reason.NONE, 4, id="only 4"),
    pytest.param("::1", "4", "[::1]", Reason.RESOLVE, 0, id="6 where 4 is wanted"),
    pytest.param("127.0.0.1", 6, "127.0.0.1", Reason.RESOLVE, 0, id="4 where 6 is wanted"),
]


@pytest.mark.parametrize(("listening", "ip", "host", "reason", "version"), IP)
def test_the_ip_version_can_be_chosen(listening, ip, host, reason, version, run, answering, page, probed):
    async def scenario():
        async with answering(page(b""), host=listening) as (port, requests):
            return await probed(url=f"http://{host}:{port}/", ip=ip), requests

    result, requests = run(scenario())

    assert (result.reason, result.ip_version) == (reason, version)
    assert [f"Host: {host}:".encode() in request for request in requests] == [True] * len(requests)


def redirect(to, status="302 Found"):
    return f"HTTP/1.1 {status}\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


def test_redirects_are_followed_and_counted(answering, page, probed):
    async def scenario():
        answers = redirect("/a?b"), redirect("http://127.0.0.1:PORT/c"), redirect("d"), page(b"there")
        async with answering(*answers) as (port, requests):
            result = await probed(url=f"http://127.0.0.1:{port}/", keyword="there")
            return result, [request.split(b" ")[1] for request in requests]

    result, paths = asyncio.run(scenario())

    assert result.success
    assert (result.http.redirects, result.http.status) == (3, 200)
    assert paths == [b"/", b"/a?b", b"/c", b"/d"]


def test_a_redirect_loop_ends(answering, probed):
    async def scenario():
        async with answering(redirect("/")) as (port, requests):
            return await probed(url=f"http://127.0.0.1:{port}/"), len(requests)

    result, requests = asyncio.run(scenario())

    assert (result.reason, requests) == (Reason.REDIRECT, 11)
    assert "more than 10 redirects" in result.error


def test_redirects_can_be_refused_or_be_what_is_expected(answering, probed):
    async def scenario():
        async with answering(redirect("/login")) as (port, requests):
            url = f"http://127.0.0.1:{port}/"
            return await probed(url=url, redirects="refuse"), await probed(url=url, status=302), len(requests)

    refused, expected, requests = asyncio.run(scenario())

    assert (refused.reason, refused.error) == (Reason.REDIRECT, "HTTP 302 to /login: redirects are refused")
    assert expected.success
    assert requests == 2


METHODS = [("303 See Other", "GET"), ("302 Found", "GET"), ("307 Temporary Redirect", "POST")]


@pytest.mark.parametrize(("status", "method"), METHODS, ids=[status for status, _ in METHODS])
def test_what_a_post_becomes_when_it_is_redirected(status, method, answering, page, probed):
    async def scenario():
        async with answering(redirect("/to", status), page(b"")) as (port, requests):
            await probed(url=f"http://127.0.0.1:{port}/", method="POST", body="x=1")
            return requests

    requests = asyncio.run(scenario())

    assert requests[1].startswith(f"{method} /to".encode())
    assert requests[1].endswith(b"x=1") is (method == "POST")


def test_secrets_do_not_follow_to_another_host(answering, page, probed):
    async def scenario():
        async with (
            answering(page(b"")) as (other, leaked),
            answering(redirect(f"http://127.0.0.1:{other}/")) as (
                port,
                first,
            ),
        ):
            keys = {"bearer_token": "secret", "headers": {"Cookie": "c=1", "X-Kept": "1"}}
            await probed(url=f"http://127.0.0.1:{port}/", **keys)
            return first[0], leaked[0]

    first, leaked = asyncio.run(scenario())

    assert b"Bearer secret" in first
    assert b"secret" not in leaked
    assert b"Cookie" not in leaked
    assert b"X-Kept: 1" in leaked


def test_head_has_no_body_to_wait_for(answering, probed):
    async def scenario():
        async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n") as (port, _):
            return await probed(url=f"http://127.0.0.1:{port}/", method="HEAD")

    assert asyncio.run(scenario()).success


# -- TLS ---------------------------------------------------------------------------------------


def test_tls_tells_version_and_when_the_certificate_ends(run, answering, page, probed, authority):
    context, until_s = authority.server("localhost")

    async def scenario():
        async with answering(page(b"x"), tls=context, host="localhost") as (port, _):
            return await probed(url=f"https://localhost:{port}/", tls={"ca_file": str(authority.file)})

    result = run(scenario())

    assert result.success, result.error
    assert result.phases_s["tls"] > 0
    assert (result.tls.version, result.http.over_tls) == ("TLS 1.3", True)
    assert result.tls.cipher.startswith("TLS_")
    assert (result.tls.earliest_expiry_s, result.tls.verified_expiry_s) == (until_s, until_s)


UNTRUSTED = [
    pytest.param({"until": datetime.now(UTC) - timedelta(days=3)}, "localhost", True, "expired", id="expired"),
    pytest.param({}, "elsewhere.example", True, "localhost", id="another name"),
    pytest.param({}, "localhost", False, "not trusted", id="an unknown authority"),
]


@pytest.mark.parametrize(("made", "name", "known", "text"), UNTRUSTED)
def test_a_certificate_that_is_not_trusted_still_tells_its_end(
    made, name, known, text, run, answering, page, probed, authority
):
    context, until_s = authority.server(name, **made)

    async def scenario():
        async with answering(page(b"x"), tls=context) as (port, requests):
            keys = {"tls": {"ca_file": str(authority.file)}} if known else {}
            return await probed(url=f"https://localhost:{port}/", ip=4, **keys), requests

    result, requests = run(scenario())

    assert result.reason is Reason.CERTIFICATE
    assert text in result.error
    assert (result.tls.earliest_expiry_s, result.tls.version) == (until_s, "")
    assert requests == []


def test_verification_can_be_left_out_and_the_name_be_another(answering, page, probed, authority):
    context, until_s = authority.server("elsewhere.example")

    async def scenario():
        async with answering(page(b"x"), tls=context) as (port, _):
            url = f"https://127.0.0.1:{port}/"
            ca = str(authority.file)
            careless = await probed(url=url, tls={"insecure_skip_verify": True})
            named = await probed(url=url, tls={"ca_file": ca, "server_name": "elsewhere.example"})
            return careless, named

    careless, named = asyncio.run(scenario())

    assert careless.success
    assert named.success
    assert (careless.tls.earliest_expiry_s, careless.tls.verified_expiry_s) == (until_s, None)


def test_a_certificate_that_ends_soon_can_be_a_failure(answering, page, probed, authority):
    context, _ = authority.server("localhost", until=datetime.now(UTC) + timedelta(days=5))

    async def scenario():
        async with answering(page(b"x"), tls=context) as (port, _):
            keys = {"url": f"https://localhost:{port}/", "ip": 4, "tls": {"ca_file": str(authority.file)}}
            return await probed(certificate_valid_for="14d", **keys), await probed(certificate_valid_for="3d", **keys)

    soon, late = asyncio.run(scenario())

    assert (soon.reason, soon.error) == (Reason.CERTIFICATE, "the certificate ends in 5.0 days")
    assert late.success


def test_plain_text_where_tls_is_expected_is_no_tls(run, answering, page, serving, probed):
    async def plain(reader, writer):
        writer.write(page(b"x"))
        await writer.drain()
        await reader.read(1)

    async def scenario():
        async with serving(plain) as port:
            return await probed(url=f"https://127.0.0.1:{port}/")

    assert run(scenario()).reason in (Reason.TLS, Reason.CLOSED)


def test_a_handshake_that_never_ends_is_ended(run, serving, probed):
    async def silent(reader, writer):
        await asyncio.sleep(60)

    async def scenario():
        async with serving(silent) as port:
            return await probed(url=f"https://127.0.0.1:{port}/", timeout="200ms")

    for _ in range(5):
        result = run(scenario())
        # See above.
        if "tls" in result.phases_s:
            break

    assert result.error == "no complete answer within 0.2 s (while in phase tls)"
    assert result.duration_s < 30


def test_a_hundred_probes_leave_no_connection_behind(answering, page, probed):
    def connections(port):
        # Of all processes here: local and remote address, and the state, of which "0A" only listens and "06" is over.
        rows = [row.split()[1:4] for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(f":{port:04X}" in f"{local} {remote}" and state not in ("0A", "06") for local, remote, state in rows)

    async def scenario():
        async with answering(page(b"x")) as (port, _):
            async with asyncio.timeout(60):
                await asyncio.gather(*(probed(url=f"http://127.0.0.1:{port}/") for _ in range(100)))
                while connections(port):
                    await asyncio.sleep(0.01)

    asyncio.run(scenario())


CONDITIONS = [
    pytest.param(["[STATUS] == 503"], Reason.NONE, "", id="a status that would else be wrong"),
    pytest.param(["[STATUS] < 300"], Reason.STATUS, "[STATUS] (503) < 300", id="a status"),
    pytest.param(["[BODY].db == true", "[RESPONSE_TIME] < 30s"], Reason.NONE, "", id="several"),
    pytest.param(["[BODY].db == false"], Reason.ANSWER, "[BODY].db (true) == false", id="a value of the body"),
    pytest.param(["[BODY] == pat(*database*)"], Reason.ANSWER, '[BODY] ({"db": true}) == pat(*database*)', id="a text"),
    pytest.param(["[CONNECTED] == true", "[IP] == 127.0.0.1"], Reason.NONE, "", id="where it is"),
]


@pytest.mark.parametrize(("conditions", "reason", "error"), CONDITIONS)
def test_conditions_in_gatus_language(conditions, reason, error, answering, page, probed):
    async def scenario():
        async with answering(page(b'{"db": true}', status="503 Busy")) as (port, _):
            return await probed(url=f"http://127.0.0.1:{port}/", conditions=conditions)

    result = asyncio.run(scenario())

    assert (result.reason, result.error) == (reason, error)
