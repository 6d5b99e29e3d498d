"""Who is told what, read from a configuration without opening a connection to anyone."""

from __future__ import annotations

import httpx

from trackside.server.alertmanager_config import Notifications
from trackside.server.backtest.notifications import Teller, Telling
from trackside.server.receivers.config import integrations
from trackside.server.receivers.http_config import HttpConfig
from trackside.server.receivers.templates import NotificationTemplates


def telling_of(told: Notifications) -> Telling:
    templates = NotificationTemplates({}, lambda: 0)
    receivers = {
        receiver.name: tuple(
            Teller(each.kind, each.send_resolved) for each in integrations(receiver, _nobody, templates)
        )
        for receiver in told.receivers
    }
    return Telling(told.routing, receivers)


def _nobody(config: HttpConfig) -> httpx.AsyncClient:
    raise AssertionError("a backtest sends nothing")
