"""The email receiver: who gets it, and what it says."""

from __future__ import annotations

import asyncio
from typing import Self

from pydantic import Field, field_validator, model_validator

from trackside.model.alerts import Notification
from trackside.server.receivers.clients import tls_context
from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.fields import Flag, HostPort, SecretText, Template, split_host_port
from trackside.server.receivers.http_config import NO_SECRET, TlsConfig
from trackside.server.receivers.illustrations import Picture
from trackside.server.receivers.integration import ClientFor, Integration
from trackside.server.receivers.mail import Mail, addresses, conversation_id, header_name, message_id
from trackside.server.receivers.secret import Secret
from trackside.server.receivers.smtp import Login, Smarthost, deliver
from trackside.server.receivers.templates import NotificationTexts
from trackside.server.schema import Section, Text

IMPLICIT_TLS_PORT = "465"
BY_DATE = ("none", "daily")


class ThreadingConfig(Section):
    """Whether mails about one group are shown as a conversation."""

    enabled: Flag = False
    thread_by_date: Text = ""

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.enabled and self.thread_by_date not in BY_DATE:
            raise ValueError(f"thread_by_date: expected none or daily, found {self.thread_by_date!r}")
        return self


class EmailConfig(Section):
    send_resolved: Flag = False
    to: Template = Field(min_length=1)
    from_: Template = Field(default="", alias="from")
    hello: Text = ""
    smarthost: HostPort = ""
    auth_username: Text = ""
    auth_password: SecretText = NO_SECRET
    auth_password_file: Text = ""
    auth_secret: SecretText = NO_SECRET
    auth_secret_file: Text = ""
    auth_identity: Text = ""
    headers: dict[str, Template] = Field(default_factory=dict)
    html: Template = '{{ template "email.default.html" . }}'
    text: Template = ""
    require_tls: Flag | None = None
    force_implicit_tls: Flag | None = None
    """None: on port 465."""
    tls_config: TlsConfig | None = None
    threading: ThreadingConfig = Field(default_factory=ThreadingConfig)

    @field_validator("headers")
    @classmethod
    def _each_once(cls, headers: dict[str, str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, text in headers.items():
            if header_name(name) in found:
                raise ValueError(f"the header {header_name(name)} stands here twice")
            found[header_name(name)] = text
        return found

    @model_validator(mode="after")
    def _one_conversation(self) -> Self:
        for name in ("References", "In-Reply-To"):
            if self.threading.enabled and name in self.headers:
                raise ValueError(f"threading sets the header {name} itself")
        return self

    def filled(self, defaults: NotificationDefaults) -> Self:
        """
        Raises:
            ValueError: something is said nowhere.
        """
        smarthost = self.smarthost or defaults.smtp_smarthost
        sender = self.from_ or defaults.smtp_from
        if not smarthost:
            raise ValueError("expected a smarthost, or smtp_smarthost in `global`")
        if not sender:
            raise ValueError("expected `from`, or smtp_from in `global`")
        changes: dict[str, object] = {
            "smarthost": smarthost,
            "from_": sender,
            "hello": self.hello or defaults.smtp_hello,
            "auth_username": self.auth_username or defaults.smtp_auth_username,
            "auth_identity": self.auth_identity or defaults.smtp_auth_identity,
            "require_tls": defaults.smtp_require_tls if self.require_tls is None else self.require_tls,
            "tls_config": self.tls_config or defaults.smtp_tls_config,
        }
        if self.force_implicit_tls is None:
            changes["force_implicit_tls"] = defaults.smtp_force_implicit_tls
        for name in ("auth_password", "auth_secret"):
            if not (getattr(self, name) or getattr(self, f"{name}_file")):
                changes |= {part: getattr(defaults, f"smtp_{part}") for part in (name, f"{name}_file")}
        return self.model_copy(update=changes)


class Email(Integration[EmailConfig]):
    picture = Picture.ATTACHED

    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        mail = self._mail(notification, self._templates.texts(notification))
        host = await self._smarthost()
        await asyncio.to_thread(deliver, mail, host)
        return ""

    def _mail(self, notification: Notification, texts: NotificationTexts) -> Mail:
        config = self._config
        sender, to = texts.required(config.from_), texts.required(config.to)
        headers = {
            "Subject": '{{ template "email.default.subject" . }}',
            "To": to,
            "From": sender,
            **config.headers,
        }
        domain = addresses(sender)[0].rpartition("@")[2]
        made = {name: texts.render(text, texts.plain if name == "Subject" else "") for name, text in headers.items()}
        now_ms = self._templates.now_ms()
        made.setdefault("Message-Id", message_id(notification, domain))
        if config.threading.enabled:
            conversation = conversation_id(notification, now_ms if config.threading.thread_by_date == "daily" else None)
            made |= {"References": conversation, "In-Reply-To": conversation}
        text = config.text or ('{{ template "email.default.text" . }}' if texts.ours else "")
        parts = (texts.render(text), texts.html(config.html))
        if not any(part.strip() for part in parts):
            parts = (texts.plain, "")
        return Mail(addresses(sender)[0], tuple(addresses(to)), made, *parts, now_ms, notification.chart)

    async def _smarthost(self) -> Smarthost:
        config = self._config
        host, port = split_host_port(config.smarthost)
        tls = config.tls_config or TlsConfig()
        implicit = config.force_implicit_tls
        login = None
        if config.auth_username:
            login = Login(
                config.auth_username,
                await Secret(config.auth_password, config.auth_password_file).read(),
                await Secret(config.auth_secret, config.auth_secret_file).read(),
                config.auth_identity,
            )
        return Smarthost(
            host or "localhost",
            port,
            config.hello,
            port == IMPLICIT_TLS_PORT if implicit is None else implicit,
            bool(config.require_tls),
            lambda: tls_context(tls),
            tls.server_name,
            login,
        )
