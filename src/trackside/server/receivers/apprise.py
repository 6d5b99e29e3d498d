"""Any service that has an Apprise URL: ntfy, Matrix, Signal, SMS gateways and a hundred others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from trackside.exceptions import DeliveryError
from trackside.model.alerts import Notification
from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.fields import Flag, SecretText, Template, exactly_one
from trackside.server.receivers.http_config import NO_SECRET
from trackside.server.receivers.illustrations import Picture
from trackside.server.receivers.integration import ClientFor, Integration
from trackside.server.receivers.secret import Secret
from trackside.server.schema import Section, Text

LOCAL = ("dbus", "file", "gio", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows")
"""Schemas by which a notification would stay on the server's own machine."""


class AppriseConfig(Section):
    url: SecretText = Field(default=NO_SECRET)
    """Whoever knows it can send."""
    url_file: Text = ""
    send_resolved: Flag = True
    title: Template = '{{ template "__subject" . }}'
    body: Template = '{{ template "trackside.text" . }}'

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        exactly_one(self, "url", "url_file")
        return self

    @field_validator("url")
    @classmethod
    def _known_service(cls, url: Any) -> Any:
        text = url.get_secret_value()
        if text:
            service(text)
        return url

    def filled(self, _defaults: NotificationDefaults) -> Self:
        return self


class Apprise(Integration[AppriseConfig]):
    picture = Picture.LINKED

    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        config, texts = self._config, self._templates.texts(notification)
        url = await Secret(config.url, config.url_file).read()
        kind = "failure" if notification.status == "firing" else "success"
        title, body = texts.render(config.title, texts.plain), texts.render(config.body, texts.plain)
        try:
            there = await asyncio.to_thread(service, url)
            taken = await asyncio.to_thread(_notify(there, title, body, kind))
        except ValueError as error:
            raise DeliveryError(str(error), retry=False) from error
        if not taken:
            # The library says no more, and its log may hold the address: it may have waited in vain for an answer.
            raise DeliveryError(f"{there.service_name} did not take it", retry=True, maybe_sent=True)
        return ""


def _notify(there: Any, title: str, body: str, kind: str) -> Callable[[], bool]:
    return lambda: bool(there.notify(body=body or title, title=title, notify_type=kind))


def service(url: str) -> Any:
    """The plugin for an address.

    Raises:
        ValueError: there is none.
    """
    # Half a second of imports, for those who use it.
    import apprise  # noqa: PLC0415 - see above

    schema = url.partition(":")[0].lower()
    found = None if schema in LOCAL else apprise.Apprise.instantiate(url, suppress_exceptions=True)
    if found is None:
        raise ValueError("not the Apprise URL of a service that can be reached")
    return found
