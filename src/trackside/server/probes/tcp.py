"""Connecting, and where it is wished, saying something and reading the answer."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from trackside.server.probes.config import CheckConfig
from trackside.server.probes.network import Endpoint, Network, Stream, TlsWish, dialled
from trackside.server.probes.result import Kind, ProbeError, ProbeResult, Reason, Trace, attempted
from trackside.server.regex import compiled

MAX_ANSWER_BYTES = 64 << 10
PIECE_BYTES = 16 << 10


@dataclass(frozen=True, slots=True)
class TcpProbe:
    network: Network
    check: CheckConfig
    tls: TlsWish

    async def __call__(self) -> ProbeResult:
        return await attempted(Kind.TCP, self.network.clock, self.check.timeout / 1000, self._work)

    async def _work(self, trace: Trace) -> None:
        """
        Raises:
            ProbeError: what is answered is something else.
            OSError, EOFError: nobody answers.
        """
        check, url = self.check, httpx.URL(self.check.url)
        to = Endpoint(url.raw_host.decode("ascii"), url.port or 0, check.ip)
        async with dialled(self.network, to, self.tls if check.with_tls else None, trace) as stream:
            if not (check.send or check.expect):
                return
            with trace.phase("request"):
                stream.writer.write(check.send.encode())
                await stream.writer.drain()
                if check.expect:
                    await _expect(stream, check.expect)


async def _expect(stream: Stream, pattern: str) -> None:
    """
    Raises:
        ProbeError: what came until the connection ended, or until it was enough, does not match.
    """
    answer = b""
    while len(answer) < MAX_ANSWER_BYTES:
        data = await stream.reader.read(PIECE_BYTES)
        answer += data
        if compiled(pattern).search(answer.decode("utf-8", "replace")):
            return
        if not data:
            break
    text = answer[:100].decode("utf-8", "replace")
    found = f"the answer {text!r}" if text else "an empty answer"
    raise ProbeError(Reason.ANSWER, f"{found} does not match {pattern!r}", by_regex=True)
