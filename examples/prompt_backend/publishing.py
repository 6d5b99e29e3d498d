"""Publishes a session to whoever wants to know of it."""

from __future__ import annotations

import httpx

from prompt_backend import database
from prompt_backend.monitoring import monitor
from prompt_backend.settings import PUBLISH_URL
from trackside.outbox.work_queue import Claimed

_client = httpx.Client(timeout=10)
monitor.watch(_client)


def publish(work: Claimed) -> None:
    """Once at least. When this process dies after the answer and before the queue knows of it, or the receiver's answer
    is lost, it happens again, under the same key.

    Raises:
        httpx.HTTPError: no answer, or one that is no success; the queue tries again later.
    """
    session = database.session(work.payload["session_id"])
    if session is None:
        # Deleted meanwhile: nobody can be told of it any more.
        return
    with monitor.integration("subscriber", "publish_session"):
        _client.post(PUBLISH_URL, json=session, headers={"Idempotency-Key": work.key}).raise_for_status()
    database.mark_published(session["id"])
