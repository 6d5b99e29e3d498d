"""What a Jira issue says about a group of alerts, and the query that finds it again."""

from __future__ import annotations

import json

from trackside.model.alerts import Notification
from trackside.server.receivers.adf import document
from trackside.server.receivers.jira_config import JiraConfig
from trackside.server.receivers.lengths import cut, fitting
from trackside.server.receivers.nested import rendered
from trackside.server.receivers.pagerduty import dedup_key
from trackside.server.receivers.templates import NotificationTexts

MAX_SUMMARY, MAX_DESCRIPTION = 255, 32_767
SUMMARY = '{{ template "jira.default.summary" . }}'
DESCRIPTION = '{{ template "jira.default.description" . }}'
_MINUTE_MS = 60_000


def mark(notification: Notification) -> str:
    """The label by which the issue of a group is known."""
    return f"ALERT{{{dedup_key(notification)}}}"


def query(config: JiraConfig, texts: NotificationTexts, notification: Notification) -> str:
    """In Jira's language: the group's issue, if it may still be written to.

    Raises:
        DeliveryError: the template of the project fails.
    """
    parts: list[str] = []
    if config.wont_fix_resolution:
        parts.append(f"(resolution is EMPTY or resolution != {_quoted(config.wont_fix_resolution)})")
    if notification.status == "firing" and config.reopen_transition and config.reopen_duration:
        minutes = config.reopen_duration // _MINUTE_MS
        parts.append(f"(resolutiondate is EMPTY OR resolutiondate >= -{minutes}m)")
    else:
        parts.append("statusCategory != Done")
    parts += [f"project={_quoted(texts.required(config.project))}", f"labels={_quoted(mark(notification))}"]
    return f"{' and '.join(parts)} order by status ASC,resolutiondate DESC"


def _quoted(text: str) -> str:
    # Its escapes are JSON's; what a label of an alert says must not become a part of the query.
    return json.dumps(text)


def issue(
    config: JiraConfig, texts: NotificationTexts, notification: Notification, *, is_new: bool
) -> dict[str, object]:
    """Its fields. Of an issue that is there, those that the section does not want updated are left out.

    Raises:
        DeliveryError: the template of the project or the type fails.
    """
    fields: dict[str, object] = {
        "project": {"key": texts.required(config.project)},
        "issuetype": {"name": texts.required(config.issue_type)},
    }
    if is_new or config.summary.enable_update:
        fields["summary"] = _summary(config, texts)
    if (is_new or config.description.enable_update) and (description := _description(config, texts)):
        fields["description"] = description
    if priority := texts.render(config.priority).strip():
        fields["priority"] = {"name": priority}
    fields |= {name: rendered(value, texts) for name, value in config.fields.items()}
    fields["labels"] = _labels(config, texts, mark(notification), fields.get("labels"))
    return fields


def _summary(config: JiraConfig, texts: NotificationTexts) -> str:
    template = SUMMARY if config.summary.template is None else config.summary.template
    # Jira takes one line.
    return cut(" ".join(texts.render(template, texts.plain).splitlines()).strip() or texts.plain, MAX_SUMMARY)


def _description(config: JiraConfig, texts: NotificationTexts) -> object:
    template = DESCRIPTION if config.description.template is None else config.description.template
    size = _size if config.takes_documents else len
    text = texts.shortest(MAX_DESCRIPTION, lambda shown: shown.render(template), size)
    if not text.strip():
        return ""
    if not config.takes_documents:
        return cut(text, MAX_DESCRIPTION)
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    # A template may well write the document itself.
    is_document = isinstance(told, dict) and told.get("type") == "doc"
    return told if is_document else document(fitting(text, MAX_DESCRIPTION, _size))


def _size(text: str) -> int:
    return len(json.dumps(document(text), ensure_ascii=False, separators=(",", ":")))


def _labels(config: JiraConfig, texts: NotificationTexts, mark: str, own: object) -> list[str]:
    """Those of `fields`, or else of `labels`; and always the mark, without which the issue would be lost to us."""
    given = own if isinstance(own, list) else [texts.render(label) for label in config.labels]
    # Jira takes no label with a space in it, and none that is empty.
    return sorted({"_".join(str(label).split()) for label in (mark, *given)} - {""})
