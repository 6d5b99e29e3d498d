"""Gorgias, where the tickets are, and Slack, where the team is."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import httpx

from ecommerce_api.monitoring import monitor
from ecommerce_api.settings import GORGIAS_URL, SLACK_TOKEN, SLACK_URL


class IntegrationError(Exception):
    """The other service did not do what it was asked."""


# Gorgias says by the status how a request went, so that watching the client is all it takes.
_gorgias = monitor.watch(httpx.Client(base_url=GORGIAS_URL, timeout=10))
monitor.name_integration("gorgias", urlsplit(GORGIAS_URL).hostname or "")

_slack = httpx.Client(base_url=SLACK_URL, timeout=5, headers={"Authorization": f"Bearer {SLACK_TOKEN}"})


def open_tickets(customer_id: int) -> list[dict[str, Any]]:
    """
    Raises:
        IntegrationError: Gorgias does not answer, or not with tickets.
    """
    try:
        response = _gorgias.get("/tickets", params={"customer_id": customer_id}).raise_for_status()
    except httpx.HTTPError as error:
        raise IntegrationError(f"Gorgias: {error}") from error
    tickets: list[dict[str, Any]] = response.json()["data"]
    return tickets


def post_message(channel: str, text: str) -> None:
    """
    Raises:
        IntegrationError: Slack did not take it.
    """
    # Slack answers 200 with `"ok": false` when it refuses: only this code can tell, so the call is measured here and
    # the client is not watched, which would count it a second time and as a success.
    with monitor.integration("slack", "post_message") as call:
        try:
            response = _slack.post("/chat.postMessage", json={"channel": channel, "text": text}).raise_for_status()
        except httpx.HTTPError as error:
            raise IntegrationError(f"Slack: {error}") from error
        answer = response.json()
        if not answer["ok"]:
            call.failed(answer["error"])
            raise IntegrationError(f"Slack: {answer['error']}")
