"""What all ways to tell a receiver have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, Self, TypeVar

import httpx

from trackside.model.alerts import Notification
from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.fields import Flag
from trackside.server.receivers.http_config import HttpConfig
from trackside.server.receivers.illustrations import Picture
from trackside.server.receivers.templates import NotificationTemplates
from trackside.server.schema import Section

ConfigT = TypeVar("ConfigT", bound=Section)
ClientFor = Callable[[HttpConfig], httpx.AsyncClient]
"""The client that asks in this way.

Raises:
    OSError, ValueError: a certificate or key cannot be used.
"""


class IntegrationConfig(Section):
    send_resolved: Flag = True
    http_config: HttpConfig | None = None

    def filled(self, defaults: NotificationDefaults) -> Self:
        """With what is not said taken from the defaults.

        Raises:
            ValueError: something is said nowhere.
        """
        return self.model_copy(update={"http_config": self.http_config or defaults.http_config})

    @property
    def http(self) -> HttpConfig:
        return self.http_config or HttpConfig()


class Integration(ABC, Generic[ConfigT]):
    """A way to tell one receiver, as a section describes it."""

    picture = Picture.NONE
    """How it shows the picture of a notification."""

    def __init__(self, config: ConfigT, templates: NotificationTemplates) -> None:
        self._config = config
        self._templates = templates

    @abstractmethod
    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        """What the receiver calls the message, to be handed back with the next one about the same group; mostly "".

        Raises:
            DeliveryError: the notification was not taken.
        """
