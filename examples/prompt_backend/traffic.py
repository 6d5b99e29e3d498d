"""What the service's users do: start sessions, and look at them."""

from __future__ import annotations

from trackside.demo.system import Addresses, Traffic
from trackside.demo.traffic import HttpTraffic, Request


def _prompt(number: int) -> dict[str, str]:
    return {"prompt": f"Write the reminder for invoice {number}."}


_MIX = (
    Request(0.45, "POST", "/sessions", body=_prompt),
    Request(0.45, "GET", "/sessions?limit={}"),
    Request(0.08, "GET", "/sessions/unknown-{}"),
)


def traffic(addresses: Addresses) -> Traffic:
    return HttpTraffic(f"http://{addresses['backend']}", _MIX, per_second=4)
