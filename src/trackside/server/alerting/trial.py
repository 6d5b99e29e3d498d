"""A message that somebody sends to try a receiver: past all groups and queues, at once, and only once."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace

from trackside.exceptions import DeliveryError
from trackside.model.alerts import Notification
from trackside.server.alerting.sender import Sender
from trackside.server.alerting.store import Outgoing

REASON = "test"
"""Of such a notification, by which the log knows it."""
TIMEOUT_S = 15.0


async def try_out(sender: Sender, message: Notification, now_ms: int, timeout_s: float = TIMEOUT_S) -> Outgoing:
    """What became of it: its `last_error` says why it was not taken."""
    number = secrets.token_hex(8)
    marked = replace(message, reason=REASON, delivery_id=number)
    one = Outgoing(number, sender.name, sender.integration.kind, "", marked, now_ms, now_ms, attempts=1)
    try:
        async with asyncio.timeout(timeout_s):
            await sender.integration.send(marked)
    except DeliveryError as error:
        one.last_error = error.reason
    except TimeoutError:
        one.last_error = f"no answer within {timeout_s:g} s"
    return one
