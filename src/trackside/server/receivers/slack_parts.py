"""Parts of a Slack attachment: fields, and buttons with their questions."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from trackside.server.receivers.fields import Flag, Template
from trackside.server.receivers.templates import NotificationTexts
from trackside.server.schema import Section


class SlackField(Section):
    title: Template = Field(min_length=1)
    value: Template = Field(min_length=1)
    short: Flag | None = None
    """None: as `short_fields` says."""


class SlackConfirmation(Section):
    text: Template = Field(min_length=1)
    title: Template = ""
    ok_text: Template = ""
    dismiss_text: Template = ""


class SlackAction(Section):
    """A button: it opens `url`, or sends `name` and `value` to the app."""

    type: Template = Field(min_length=1)
    text: Template = Field(min_length=1)
    url: Template = ""
    style: Template = ""
    name: Template = ""
    value: Template = ""
    confirm: SlackConfirmation | None = None

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not (self.url or self.name):
            raise ValueError("expected a url, or a name")
        return self


def field(one: SlackField, short: bool, texts: NotificationTexts) -> dict[str, object]:
    return {
        "title": texts.render(one.title),
        "value": texts.render(one.value),
        "short": short if one.short is None else one.short,
    }


def action(one: SlackAction, texts: NotificationTexts) -> dict[str, object]:
    parts = {"type": one.type, "text": one.text, "url": one.url, "style": one.style}
    if not one.url:
        parts |= {"name": one.name, "value": one.value}
    made: dict[str, object] = {name: text for name, template in parts.items() if (text := texts.render(template))}
    if one.confirm is not None and not one.url:
        asked = {
            "title": one.confirm.title,
            "text": one.confirm.text,
            "ok_text": one.confirm.ok_text,
            "dismiss_text": one.confirm.dismiss_text,
        }
        made["confirm"] = {name: text for name, template in asked.items() if (text := texts.render(template))}
    return made
