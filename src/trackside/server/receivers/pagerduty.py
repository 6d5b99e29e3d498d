"""The PagerDuty receiver: Events API version 2, and version 1 for those who still have a service key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from trackside.exceptions import DeliveryError
from trackside.model.alerts import AlertState, Notification
from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.receivers.delivery import Request, post
from trackside.server.receivers.fields import GoDurationMs, SecretText, Template, WebUrl, only_one
from trackside.server.receivers.http_config import NO_SECRET
from trackside.server.receivers.illustrations import Picture
from trackside.server.receivers.integration import ClientFor, Integration, IntegrationConfig
from trackside.server.receivers.lengths import cut
from trackside.server.receivers.nested import rendered
from trackside.server.receivers.own_templates import RUNBOOK, SILENCE
from trackside.server.receivers.payload import alert_payload
from trackside.server.receivers.secret import Secret
from trackside.server.receivers.templates import NotificationTexts
from trackside.server.schema import Section, Text

MAX_SUMMARY = 1_024
MAX_EVENT_BYTES = 512_000
V1_URL = "https://events.pagerduty.com/generic/2010-04-15/create_event.json"


class PagerdutyLink(Section):
    href: Template = ""
    text: Template = ""


class PagerdutyImage(Section):
    src: Template = ""
    alt: Template = ""
    href: Template = ""


OWN_SEVERITY = '{{ template "trackside.pagerduty.severity" . }}'
OWN_LINKS = tuple(
    PagerdutyLink(href=href, text=text)
    for text, href in (
        ("Runbook", RUNBOOK),
        ("Graph", "{{ (index .Alerts 0).GeneratorURL }}"),
        ("Silence", SILENCE),
        ("Alert", "{{ (index .Alerts 0).AlertURL }}"),
    )
)


class PagerdutyConfig(IntegrationConfig):
    routing_key: SecretText = NO_SECRET
    routing_key_file: Text = ""
    service_key: SecretText = NO_SECRET
    """For version 1 of the API. A routing key goes before it."""
    service_key_file: Text = ""
    url: WebUrl | None = None
    client: Template = '{{ template "pagerduty.default.client" . }}'
    client_url: Template = '{{ template "pagerduty.default.clientURL" . }}'
    description: Template = '{{ template "pagerduty.default.description" . }}'
    details: Mapping[str, Any] = Field(default_factory=dict)
    """Beside these: the alerts that fire and those that are over, and how many they are."""
    images: tuple[PagerdutyImage, ...] = ()
    links: tuple[PagerdutyLink, ...] = ()
    source: Template = ""
    severity: Template = ""
    class_: Template = Field(default="", alias="class")
    component: Template = ""
    group: Template = ""
    timeout: GoDurationMs = 0

    @model_validator(mode="after")
    def _a_key(self) -> Self:
        only_one(self, "routing_key", "routing_key_file")
        only_one(self, "service_key", "service_key_file")
        if not (self.routing_key or self.routing_key_file or self.service_key or self.service_key_file):
            raise ValueError("expected a routing_key or a service_key")
        return self

    def filled(self, defaults: NotificationDefaults) -> Self:
        return super().filled(defaults).model_copy(update={"url": self.url or defaults.pagerduty_url})


class Pagerduty(Integration[PagerdutyConfig]):
    picture = Picture.LINKED

    async def send(self, notification: Notification, client_for: ClientFor) -> str:
        config, texts = self._config, self._templates.texts(notification)
        details = _details(config, texts, notification)
        if config.routing_key or config.routing_key_file:
            key = texts.required(await Secret(config.routing_key, config.routing_key_file).read())
            url, body = str(config.url), event(config, texts, notification, details)
            body["routing_key"] = key.strip()
        else:
            key = texts.required(await Secret(config.service_key, config.service_key_file).read())
            url, body = V1_URL, event_v1(config, texts, notification, details)
            body["service_key"] = key.strip()
        if not key.strip():
            raise DeliveryError("the key is empty", retry=False)
        await post(client_for, Request.of_json(url, _fitting(body, notification), config.http, None, config.timeout))
        return ""


def dedup_key(notification: Notification) -> str:
    return hashlib.sha256(notification.group_key.encode("utf-8", "replace")).hexdigest()


def event(
    config: PagerdutyConfig, texts: NotificationTexts, notification: Notification, details: Mapping[str, object]
) -> dict[str, object]:
    payload = {
        "summary": cut(texts.render(config.description, texts.plain) or texts.plain, MAX_SUMMARY),
        "source": texts.render(config.source or config.client) or "unknown",
        "severity": texts.render(config.severity or (OWN_SEVERITY if texts.ours else "error")) or "error",
        "class": texts.render(config.class_),
        "component": texts.render(config.component),
        "group": texts.render(config.group),
        "custom_details": details,
    }
    chosen = config.links or (OWN_LINKS if texts.ours else ())
    links = [{"href": texts.render(one.href), "text": texts.render(one.text)} for one in chosen]
    images = [
        {"src": texts.render(one.src), "alt": texts.render(one.alt), "href": texts.render(one.href)}
        for one in config.images
    ]
    # PagerDuty shows none but those that come encrypted.
    chart = notification.chart
    if chart is not None and chart.url.startswith("https://"):
        images.append({"src": chart.url, "alt": chart.alt, "href": ""})
    return {
        "event_action": "trigger" if notification.status == "firing" else "resolve",
        "dedup_key": dedup_key(notification),
        "client": texts.render(config.client),
        "client_url": texts.render(config.client_url),
        "payload": {name: value for name, value in payload.items() if value},
        "links": [{name: text for name, text in link.items() if text} for link in links if link["href"]],
        "images": [{name: text for name, text in image.items() if text} for image in images if image["src"]],
    }


def event_v1(
    config: PagerdutyConfig, texts: NotificationTexts, notification: Notification, details: Mapping[str, object]
) -> dict[str, object]:
    body: dict[str, object] = {
        "event_type": "trigger" if notification.status == "firing" else "resolve",
        "incident_key": dedup_key(notification),
        "description": cut(texts.render(config.description, texts.plain), MAX_SUMMARY),
        "details": details,
    }
    if notification.status == "firing":
        body |= {"client": texts.render(config.client), "client_url": texts.render(config.client_url)}
    return body


def _details(config: PagerdutyConfig, texts: NotificationTexts, notification: Notification) -> dict[str, object]:
    found: dict[str, object] = {name: rendered(value, texts) for name, value in config.details.items()}
    if texts.ours:
        # First, since it is read; what follows is for rules that route by it.
        found = {"message": texts.render('{{ template "pagerduty.default.instances" . }}'), **found}
    for name, is_over in (("firing", False), ("resolved", True)):
        alerts = [one for one in notification.alerts if (one.state is AlertState.RESOLVED) == is_over]
        found.setdefault(name, [alert_payload(one) for one in alerts])
        found.setdefault(f"num_{name}", len(alerts))
    return found


def _fitting(body: dict[str, object], notification: Notification) -> dict[str, object]:
    """PagerDuty refuses events above a size; the details are what can be left out."""
    if len(json.dumps(body)) <= MAX_EVENT_BYTES:
        return body
    note = {"note": f"details of {len(notification.alerts)} alerts left out: PagerDuty takes no event of that size"}
    payload = body.get("payload")
    if isinstance(payload, dict):
        return {**body, "payload": {**payload, "custom_details": note}}
    return {**body, "details": note}
