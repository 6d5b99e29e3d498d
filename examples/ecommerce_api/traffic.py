"""What the users of the service ask for: people, and an assistant that calls its tools."""

from __future__ import annotations

from typing import Any

from trackside.demo.system import Addresses, Traffic
from trackside.demo.traffic import HttpTraffic, Request

UNKNOWN_CUSTOMER = 9_999


def _question(number: int) -> dict[str, Any]:
    return {"customer_id": number, "question": "Why does this customer order less?"}


def _tool_call(number: int) -> dict[str, Any]:
    # A tool in turn; one customer in eight does not exist.
    customer_id = UNKNOWN_CUSTOMER if number % 8 == 0 else number
    name, arguments = (
        ("customer_profile", {"customer_id": customer_id}),
        ("high_risk_customers", {"limit": 5}),
        ("open_tickets", {"customer_id": customer_id}),
    )[number % 3]
    return {
        "jsonrpc": "2.0",
        "id": number,
        "method": "tools/call",
        "params": {"name": name, "arguments": arguments},
    }


_MIX = (
    Request(0.26, "GET", "/customers/{}"),
    Request(0.26, "GET", "/customers/{}/support"),
    Request(0.10, "GET", "/customers?limit={}"),
    Request(0.12, "GET", "/churn/predictions"),
    Request(0.05, "POST", "/churn/predictions/{}/notify"),
    Request(0.04, "GET", "/archetypes"),
    Request(0.08, "POST", "/questions", body=_question),
    Request(0.06, "POST", "/mcp/", body=_tool_call),
    Request(0.01, "GET", "/customers/90{}000"),
)


def traffic(addresses: Addresses) -> Traffic:
    return HttpTraffic(f"http://{addresses['api']}", _MIX)
