"""Asking a name server, and judging what it answers."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.resolver

from trackside.server.probes.config import CheckConfig
from trackside.server.probes.dns_question import Question, question_of
from trackside.server.probes.network import Endpoint, Network, resolved
from trackside.server.probes.result import DnsFacts, Kind, ProbeError, ProbeResult, Reason, Trace, attempted

MAX_SHOWN = 5


@dataclass(frozen=True, slots=True)
class DnsProbe:
    network: Network
    check: CheckConfig

    async def __call__(self) -> ProbeResult:
        return await attempted(Kind.DNS, self.network.clock, self.check.timeout / 1000, self._work)

    async def _work(self, trace: Trace) -> None:
        """
        Raises:
            ProbeError: the server answers something else, or nothing that makes sense.
            OSError: it cannot be reached.
        """
        question = question_of(self.check.url, self.check.record, self.check.rcode)
        host = question.server or system_server()
        found = await resolved(self.network, Endpoint(host, question.port, self.check.ip), trace)
        trace.ip = found[0].ip
        trace.dns = DnsFacts()
        try:
            with trace.phase("request"):
                message = await self._asked(question, trace.ip)
        except dns.exception.Timeout as error:
            raise TimeoutError from error
        except dns.exception.DNSException as error:
            text = str(error) or type(error).__name__
            raise ProbeError(Reason.PROTOCOL, f"the answer is not DNS, or not to our question: {text}") from error
        trace.dns = _facts(message)
        self._judge(message, question)

    async def _asked(self, question: Question, ip: str) -> dns.message.Message:
        query = dns.message.make_query(question.name, question.record)
        if self.check.transport == "tcp":
            return await dns.asyncquery.tcp(query, ip, port=question.port)
        # An answer that does not fit is asked for again over TCP, as every resolver does.
        message, _ = await dns.asyncquery.udp_with_fallback(query, ip, port=question.port, ignore_unexpected=True)
        return message

    def _judge(self, message: dns.message.Message, question: Question) -> None:
        if message.rcode() != question.rcode:
            found, wanted = dns.rcode.to_text(message.rcode()), dns.rcode.to_text(question.rcode)
            raise ProbeError(Reason.ANSWER, f"the name server answers {found}; expected {wanted}")
        if question.rcode != dns.rcode.NOERROR:
            return
        texts = _texts(message, question)
        if not texts:
            kind = dns.rdatatype.to_text(question.record)
            raise ProbeError(Reason.ANSWER, f"{question.name} has no record of type {kind}")
        missing = [answer for answer in self.check.answers if _plain(answer) not in {_plain(text) for text in texts}]
        if missing:
            shown = ", ".join(text[:80] for text in texts[:MAX_SHOWN])
            raise ProbeError(Reason.ANSWER, f"{missing[0]!r} is not among the answers: {shown}")


def system_server() -> str:
    """
    Raises:
        ProbeError: this machine knows none.
    """
    try:
        servers = dns.resolver.Resolver().nameservers
    except (dns.exception.DNSException, OSError) as error:
        raise ProbeError(Reason.RESOLVE, f"this machine has no name server to ask: {error}") from error
    if not servers:
        raise ProbeError(Reason.RESOLVE, "this machine has no name server to ask")
    return str(servers[0])


def _texts(message: dns.message.Message, question: Question) -> Sequence[str]:
    return [
        record.to_text()
        for records in message.answer
        if records.rdtype == question.record or question.record == dns.rdatatype.ANY
        for record in records
    ]


def _plain(text: str) -> str:
    """Names end in a dot or not, in any case; texts stand between quotes or not."""
    stripped = text.strip()
    if len(stripped) > 1 and stripped[0] == stripped[-1] == '"':
        return stripped[1:-1]
    stripped = stripped.rstrip(".").lower()
    try:
        return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, stripped))
    except (OSError, ValueError):
        return stripped


def _facts(message: dns.message.Message) -> DnsFacts:
    serials = [
        int(record.serial) for records in message.answer if records.rdtype == dns.rdatatype.SOA for record in records
    ]
    return DnsFacts(
        True,
        int(message.rcode()),
        sum(len(records) for records in message.answer),
        sum(len(records) for records in message.authority),
        sum(len(records) for records in message.additional),
        serials[0] if serials else None,
    )
