"""Texts of notifications: templates of the configuration, of template files, and ours for what is not configured."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import lru_cache

from trackside.exceptions import ConfigError, TemplateError
from trackside.model.alerts import Notification
from trackside.server.gotemplate.parser import parse
from trackside.server.gotemplate.rendering import Surroundings, render
from trackside.server.gotemplate.syntax import Definition, Template
from trackside.server.receivers.template_data import NotificationData
from trackside.server.receivers.template_functions import FUNCTION_NAMES, functions

# The names are Alertmanager's, since people's own templates call these; the texts are ours.
DEFAULTS = r"""
{{- define "__alertmanager" }}Trackside{{ end -}}
{{- define "__alertmanagerURL" }}{{ .ExternalURL }}/alerts?receiver={{ urlquery .Receiver }}{{ end -}}
{{- define "__subject" -}}
  [{{ toUpper .Status }}{{ with len .Alerts.Firing }}:{{ . }}{{ end }}] {{ join " " .GroupLabels.SortedPairs.Values }}
  {{- with .CommonLabels.Remove .GroupLabels.Names }} ({{ join " " .Values }}){{ end }}
{{- end -}}
{{- define "__text_alert_list" }}{{ range . }}Labels:
{{ range .Labels.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}Annotations:
{{ range .Annotations.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}Source: {{ .GeneratorURL }}
{{ end }}{{ end -}}
{{- define "slack.default.title" }}{{ template "__subject" . }}{{ end -}}
{{- define "slack.default.titlelink" }}{{ template "__alertmanagerURL" . }}{{ end -}}
{{- define "slack.default.username" }}{{ template "__alertmanager" . }}{{ end -}}
{{- define "slack.default.fallback" -}}
  {{ template "slack.default.title" . }} | {{ template "slack.default.titlelink" . }}
{{- end -}}
{{- define "slack.default.pretext" }}{{ end -}}
{{- define "slack.default.color" }}{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}{{ end -}}
{{- define "slack.default.iconemoji" }}{{ end -}}
{{- define "slack.default.iconurl" }}{{ end -}}
{{- define "slack.default.footer" }}{{ end -}}
{{- define "slack.alert" -}}
  {{- $text := or .Annotations.summary .Annotations.description .Annotations.message -}}
  {{- if eq .Status "resolved" }}:white_check_mark: {{ end }}
  {{- if $text }}{{ $text }}{{ else }}{{ range .Labels.SortedPairs }}{{ .Name }}={{ .Value }} {{ end }}{{ end }}
  {{- with .GeneratorURL }} <{{ . }}|Graph>{{ end }}
  {{- with .Annotations.runbook_url }} <{{ . }}|Runbook>{{ end }}
{{ end -}}
{{- define "slack.default.text" -}}
{{ range $i, $alert := .Alerts }}{{ if eq $i 20 }}and {{ len (slice $.Alerts 20) }} more{{ break }}{{ end -}}
{{ template "slack.alert" $alert }}{{ end -}}
{{- end -}}
"""

_log = logging.getLogger("trackside.server")


@lru_cache(maxsize=1024)
def compiled(text: str) -> Template:
    """
    Raises:
        TemplateError: it does not parse.
    """
    return parse(text, "text", functions=FUNCTION_NAMES)


def checked_template(text: str) -> str:
    """The text as it is, for a configuration section.

    Raises:
        ValueError: it does not parse.
    """
    try:
        compiled(text)
    except TemplateError as error:
        raise ValueError(
            f"this template does not parse: {error.reason} (line {error.line}, column {error.column} of the text)"
        ) from error
    return text


class NotificationTemplates:
    """All definitions a notification's texts may call."""

    def __init__(self, files: Mapping[str, str], now_ms: Callable[[], int]) -> None:
        """`files`: text by file name, from the `templates` of the configuration; later ones win.

        Raises:
            ConfigError: a file does not parse.
        """
        self._now_ms = now_ms
        self._definitions: dict[str, Definition] = dict(_defaults().definitions)
        for file, text in files.items():
            try:
                self._definitions |= parse(text, file, functions=FUNCTION_NAMES).definitions
            except TemplateError as error:
                raise ConfigError(f"{file}:{error.line}: {error.reason} (column {error.column})") from error

    def texts(self, notification: Notification) -> NotificationTexts:
        return NotificationTexts(notification, Surroundings(functions(self._now_ms()), {}, self._definitions))


class NotificationTexts:
    """Renders templates about one notification."""

    def __init__(self, notification: Notification, around: Surroundings) -> None:
        self._data = NotificationData(notification)
        self._around = around
        self._receiver = notification.receiver

    def render(self, text: str, instead: str = "") -> str:
        """`instead` when the template fails: a broken text must not keep the rest of the message from being read."""
        if "{{" not in text:
            return text
        try:
            return render(compiled(text), self._data, self._around)
        except TemplateError as error:
            _log.warning("a template of receiver %s failed: %s", self._receiver, error)
            return instead


@lru_cache(maxsize=1)
def _defaults() -> Template:
    return parse(DEFAULTS, "defaults", functions=FUNCTION_NAMES)
