import asyncio
import socket
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from trackside.server.probes.result import Kind, Reason

ZONE = {
    "A": ["192.0.2.1", "192.0.2.2"],
    "AAAA": ["2001:db8::1"],
    "MX": ["10 Mail.Example."],
    "TXT": ['"v=spf1 -all"'],
    "SOA": ["ns.example. admin.example. 2026112501 7200 3600 1209600 3600"],
}


def answered(wire, rcode=dns.rcode.NOERROR):
    query = dns.message.from_wire(wire)
    answer = dns.message.make_response(query)
    answer.set_rcode(rcode)
    question = query.question[0]
    kind = dns.rdatatype.to_text(question.rdtype)
    if rcode == dns.rcode.NOERROR and kind in ZONE:
        answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *ZONE[kind]))
    return answer


@asynccontextmanager
async def name_server(answer, host="127.0.0.1"):
    """Over UDP; `answer` makes of a query what is sent back, None for nothing."""

    class Protocol(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, address):
            back = answer(data)
            if back is not None:
                self.transport.sendto(back, address)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Protocol, local_addr=(host, 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


ASKED = [
    pytest.param({}, "", Reason.NONE, id="an address"),
    pytest.param({"answers": "192.0.2.2"}, "", Reason.NONE, id="one of them"),
    pytest.param({"answers": ["192.0.2.2", "192.0.2.9"]}, "", Reason.ANSWER, id="one that is missing"),
    pytest.param({"record": "AAAA", "answers": "2001:DB8:0::1"}, "", Reason.NONE, id="written another way"),
    pytest.param({"answers": "10 mail.example"}, "?type=MX", Reason.NONE, id="type in the address"),
    pytest.param({"record": "TXT", "answers": "v=spf1 -all"}, "", Reason.NONE, id="text"),
    pytest.param({"module": "dns_soa"}, "", Reason.NONE, id="by module"),
    pytest.param({"record": "NS"}, "", Reason.ANSWER, id="no such record"),
    pytest.param({"rcode": "NXDOMAIN"}, "", Reason.ANSWER, id="another code"),
]


@pytest.mark.parametrize(("keys", "query", "reason"), ASKED)
def test_what_is_asked_and_answered(keys, query, reason, probed):
    async def scenario():
        async with name_server(lambda wire: answered(wire).to_wire()) as port:
            return await probed(url=f"dns://127.0.0.1:{port}/shop.example{query}", **keys)

    result = asyncio.run(scenario())

    assert (result.kind, result.reason) == (Kind.DNS, reason), result.error
    assert result.dns.answered
    assert set(result.phases_s) == {"resolve", "request"}


def test_the_serial_and_the_counts_are_told(probed):
    async def scenario():
        async with name_server(lambda wire: answered(wire).to_wire()) as port:
            url = f"dns://127.0.0.1:{port}/shop.example"
            return await probed(url=url, record="SOA"), await probed(url=url)

    soa, addresses = asyncio.run(scenario())

    assert soa.dns.serial == 2026112501
    assert (addresses.dns.answers, addresses.dns.serial) == (2, None)


def test_a_name_that_must_not_exist(probed):
    async def scenario():
        async with name_server(lambda wire: answered(wire, dns.rcode.NXDOMAIN).to_wire()) as port:
            url = f"dns://127.0.0.1:{port}/gone.example"
            return await probed(url=url), await probed(url=url, rcode="NXDOMAIN")

    missing, expected = asyncio.run(scenario())

    assert missing.error == "the name server answers NXDOMAIN; expected NOERROR"
    assert expected.success


def other_question(wire):
    query = dns.message.from_wire(wire)
    return answered(dns.message.make_query("other.example", "A", id=query.id).to_wire()).to_wire()


HOSTILE = [
    pytest.param(lambda wire: b"\0", Reason.PROTOCOL, id="one byte"),
    pytest.param(lambda wire: b"\x01" * 500, Reason.PROTOCOL, id="garbage"),
    pytest.param(lambda wire: b"\xff" * 500, Reason.REFUSED, id="garbage that asks for TCP, where nobody is"),
    pytest.param(lambda wire: answered(wire).to_wire()[:-3], Reason.PROTOCOL, id="cut off"),
    pytest.param(lambda wire: wire, Reason.PROTOCOL, id="the question itself"),
    pytest.param(other_question, Reason.PROTOCOL, id="another question"),
    pytest.param(lambda wire: wire[:12] + b"\xc0\x0c" * 50, Reason.PROTOCOL, id="a name that points to itself"),
    pytest.param(lambda wire: None, Reason.TIMEOUT, id="silence"),
]


@pytest.mark.parametrize(("answer", "reason"), HOSTILE)
def test_answers_that_are_none_fail_with_a_reason(answer, reason, probed):
    async def scenario():
        async with name_server(answer) as port:
            return await probed(url=f"dns://127.0.0.1:{port}/shop.example", **given)

    # Little for what never comes; of all else it is told before.
    given = {"timeout": "300ms"} if reason is Reason.TIMEOUT else {}
    result = asyncio.run(scenario())

    assert result.reason is reason, result.error
    assert not result.dns.answered


def test_over_tcp_and_back_to_it_when_an_answer_does_not_fit(serving, probed):
    async def over_tcp(reader, writer):
        size = int.from_bytes(await reader.readexactly(2), "big")
        wire = answered(await reader.readexactly(size)).to_wire()
        writer.write(len(wire).to_bytes(2, "big") + wire)
        await writer.drain()

    def truncated(wire):
        answer = dns.message.make_response(dns.message.from_wire(wire))
        answer.flags |= dns.flags.TC
        return answer.to_wire()

    async def scenario():
        async with serving(over_tcp) as port:
            url = f"dns://127.0.0.1:{port}/shop.example"
            only_tcp = await probed(url=url, transport="tcp", answers="192.0.2.1")
            try:
                transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                    lambda: _Once(truncated), local_addr=("127.0.0.1", port)
                )
            except OSError:
                return None
            fallen_back = await probed(url=url, answers="192.0.2.1")
            transport.close()
            return only_tcp, fallen_back

    # Until there is a number that is free for both: somebody else may have it for the one.
    only_tcp, fallen_back = next(filter(None, (asyncio.run(scenario()) for _ in range(20))))

    assert only_tcp.success, only_tcp.error
    assert fallen_back.success, fallen_back.error


class _Once(asyncio.DatagramProtocol):
    def __init__(self, answer):
        self._answer = answer

    def connection_made(self, transport):
        self._transport = transport

    def datagram_received(self, data, address):
        self._transport.sendto(self._answer(data), address)


def test_nobody_listens(probed):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"dns://127.0.0.1:{taken.getsockname()[1]}/a.example"
        result = asyncio.run(probed(url=url, transport="tcp"))

    assert result.reason is Reason.REFUSED
