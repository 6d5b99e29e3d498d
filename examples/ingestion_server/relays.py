"""Edge relays: each sends the messages of its users over one WebSocket, and is told which were refused."""

from __future__ import annotations

from fastapi import WebSocket, WebSocketDisconnect

from ingestion_server.ingestion import Ingestion, Relay
from ingestion_server.messages import FAILURES, Envelope, RefusedError
from ingestion_server.monitoring import monitor

# Here and not at the first connection, so that "no relay" is a 0 and not a gap.
_connections = monitor.connections("edge_relay")
# A failure that is counted for the first time would otherwise be a step from nothing to 1, which no chart shows.
for _message_type, _error in FAILURES:
    monitor.messages.expect(_message_type, _error)


async def serve_relay(socket: WebSocket, relay: Relay, ingestion: Ingestion) -> None:
    """Until the relay goes."""
    await socket.accept()
    with _connections.track():
        try:
            while (frame := await socket.receive())["type"] != "websocket.disconnect":
                # A binary frame is no JSON, and no reason to close the connection.
                refusal = _processed(frame.get("text") or "", relay, ingestion)
                if refusal is not None:
                    await socket.send_json(refusal)
        except WebSocketDisconnect:
            pass
        finally:
            ingestion.relay_gone(relay)


def _processed(text: str, relay: Relay, ingestion: Ingestion) -> dict[str, str] | None:
    """What to tell the relay, if anything."""
    envelope = Envelope(text)
    try:
        with monitor.messages.processing(envelope.message_type):
            ingestion.process(envelope.opened(), relay)
    except RefusedError as error:
        return {"refused": type(error).__name__, "reason": str(error)}
    finally:
        # Not before: the first message of a user is what makes the user known.
        monitor.messages.received(envelope.message_type, ingestion.known(envelope.user_id))
    return None
