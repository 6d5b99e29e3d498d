"""`POST /api/v1/write`: remote write 1.0, from Prometheus, its agents, and applications that push."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from trackside.exceptions import LimitError, ParseError
from trackside.server.remote_write.receiver import Outcome, RemoteWriteReceiver
from trackside.server.web.body import body_of
from trackside.wire.remote_write import decode

PATH = "/api/v1/write"
MAX_BODY_BYTES = 4 << 20
MAX_PLAIN_BYTES = 16 << 20
"""Of a message after decompression."""


@dataclass(frozen=True, slots=True)
class RemoteWriteApi:
    receiver: RemoteWriteReceiver

    def routes(self) -> list[BaseRoute]:
        return [Route(PATH, self.write, methods=["POST"])]

    async def write(self, request: Request) -> Response:
        """Answers are texts, since senders put them into their logs. They send again after a 5xx only, so that what
        cannot be stored is not sent for ever."""
        unknown = _unknown(request)
        if unknown:
            return PlainTextResponse(f"{unknown}\n", 415)
        try:
            body = await body_of(request, MAX_BODY_BYTES, advice="send fewer samples at once")
            written = await run_in_threadpool(decode, body, MAX_PLAIN_BYTES)
        except ParseError as error:
            return PlainTextResponse(f"this is no remote write request: {error.reason}\n", 400)
        except LimitError as error:
            return PlainTextResponse(f"{error}\n", 413)
        outcome = self.receiver.take(written)
        if outcome.refused:
            return PlainTextResponse(_told(outcome), 400)
        return Response(status_code=204)


def _unknown(request: Request) -> str:
    """What of the request's form we cannot read; "" if all is well."""
    coding = request.headers.get("content-encoding", "snappy").strip().lower()
    if coding != "snappy":
        return f"expected a body that is compressed by snappy, as remote write has it; got {coding[:40]!r}"
    kind, _, parameters = request.headers.get("content-type", "application/x-protobuf").partition(";")
    if kind.strip().lower() != "application/x-protobuf":
        return f"expected the content type application/x-protobuf; got {kind[:40]!r}"
    message = parameters.partition("proto=")[2].strip()
    if message not in ("", "prometheus.WriteRequest"):
        return f"expected the message prometheus.WriteRequest of remote write 1.0; got {message[:60]!r}"
    return ""


def _told(outcome: Outcome) -> str:
    reasons = "; ".join(f"{count:,}: {reason}" for reason, count in outcome.refused.items())
    return f"{sum(outcome.refused.values()):,} samples were not stored ({reasons}); {outcome.stored:,} were\n"
