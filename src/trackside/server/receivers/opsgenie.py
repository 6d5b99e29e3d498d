"""The OpsGenie receiver: alerts are made, changed and closed by the key of their group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Self

from pydantic import Field, field_validator, model_validator

from trackside.exceptions import DeliveryError
from trackside.model.alerts import Notification
from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.delivery import Request, post
from trackside.server.receivers.fields import Flag, SecretText, Template, WebUrl, joined, only_one
from trackside.server.receivers.http_config import NO_SECRET
from trackside.server.receivers.illustrations import Picture
from trackside.server.receivers.integration import ClientFor, Integration, IntegrationConfig
from trackside.server.receivers.lengths import cut
from trackside.server.receivers.own_templates import CHART, RUNBOOK, SILENCE
from trackside.server.receivers.pagerduty import dedup_key
from trackside.server.receivers.secret import Secret
from trackside.server.receivers.templates import NotificationTexts, fault
from trackside.server.schema import Section, Text

MAX_MESSAGE, MAX_DESCRIPTION = 130, 15_000
LINKS = {"runbook": RUNBOOK, "silence": SILENCE, "chart": CHART}
RESPONDER_TYPES = ("team", "teams", "user", "escalation", "schedule")


class Responder(Section):
    id: Template = ""
    name: Template = ""
    username: Template = ""
    type: Template = ""

    @field_validator("type")
    @classmethod
    def _known_type(cls, text: str) -> str:
        if "{{" in text:
            if found := fault(text):
                raise ValueError(found)
            return text
        if text.lower() not in RESPONDER_TYPES:
            raise ValueError(f"expected {', '.join(RESPONDER_TYPES)} or a template, found {text!r}")
        return text.lower()

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not (self.id or self.name or self.username):
            raise ValueError("expected an id, a name or a username")
        if not self.type:
            raise ValueError(f"expected a type: {', '.join(RESPONDER_TYPES)}")
        return self


class OpsGenieConfig(IntegrationConfig):
    api_key: SecretText = NO_SECRET
    api_key_file: Text = ""
    api_url: WebUrl | None = None
    message: Template = '{{ template "opsgenie.default.message" . }}'
    description: Template = '{{ template "opsgenie.default.description" . }}'
    source: Template = '{{ template "opsgenie.default.source" . }}'
    details: Mapping[str, Template] = Field(default_factory=dict)
    entity: Template = ""
    responders: tuple[Responder, ...] = ()
    actions: Template = ""
    tags: Template = ""
    note: Template = ""
    priority: Template = ""
    update_alerts: Flag = False

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        only_one(self, "api_key", "api_key_file")
        return self

    def filled(self, defaults: NotificationDefaults) -> Self:
        changes: dict[str, object] = {"api_url": self.api_url or defaults.opsgenie_api_url}
        changes |= defaults.secret_for(self, "opsgenie", "api_key")
        return super().filled(defaults).model_copy(update=changes)


class OpsGenie(Integration[OpsGenieConfig]):
    picture = Picture.LINKED

    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        config, texts = self._config, self._templates.texts(notification)
        key = texts.required(await Secret(config.api_key, config.api_key_file).read()).strip()
        login = {"Authorization": f"GenieKey {key}"}
        for method, path, body in requests(config, texts, notification):
            request = Request.of_json(joined(str(config.api_url), path), body, config.http, login)
            try:
                await post(client_for, replace(request, method=method))
            except DeliveryError as error:
                # To close what was closed by hand is no failure.
                if not (notification.status == "resolved" and error.reason.startswith("answered 404")):
                    raise
        return ""


def requests(
    config: OpsGenieConfig, texts: NotificationTexts, notification: Notification
) -> list[tuple[str, str, Mapping[str, object]]]:
    """Method, path and body of each request, in their order."""
    alias = dedup_key(notification)
    this = f"v2/alerts/{alias}/{{}}?identifierType=alias"
    if notification.status == "resolved":
        return [("POST", this.format("close"), {"source": texts.render(config.source)})]
    body = alert(config, texts, notification)
    made: list[tuple[str, str, Mapping[str, object]]] = [("POST", "v2/alerts", {"alias": alias, **body})]
    if config.update_alerts:
        changed = {name: body[name] for name in ("message", "description") if name in body}
        made += [("PUT", this.format(name), {name: text}) for name, text in changed.items()]
    return made


def alert(config: OpsGenieConfig, texts: NotificationTexts, notification: Notification) -> dict[str, object]:
    details = notification.common_labels.as_dict() | (texts.those_that_say_something(LINKS) if texts.ours else {})
    details |= {name: texts.render(text) for name, text in config.details.items()}
    body: dict[str, object] = {
        "message": cut(texts.render(config.message, texts.plain) or texts.plain, MAX_MESSAGE),
        "description": cut(
            texts.shortest(MAX_DESCRIPTION, lambda texts: texts.render(config.description)), MAX_DESCRIPTION
        ),
        "details": details,
        "source": texts.render(config.source),
        "responders": [made for one in config.responders for made in _responders(one, texts)],
        "tags": _list(texts.render(config.tags)),
        "note": texts.render(config.note),
        "priority": texts.render(config.priority),
        "entity": texts.render(config.entity),
        "actions": _list(texts.render(config.actions)),
    }
    return {name: value for name, value in body.items() if value}


def _responders(one: Responder, texts: NotificationTexts) -> list[dict[str, str]]:
    parts = {"id": one.id, "name": one.name, "username": one.username, "type": one.type}
    made = {name: text for name, template in parts.items() if (text := texts.render(template).strip())}
    if made.keys() <= {"type"}:
        # Nobody is meant: its template says nothing about these alerts.
        return []
    if made.get("type") != "teams":
        return [made]
    return [{"name": name, "type": "team"} for name in _list(made.get("name", ""))]


def _list(text: str) -> list[str]:
    return [part for one in text.split(",") if (part := one.strip())]
