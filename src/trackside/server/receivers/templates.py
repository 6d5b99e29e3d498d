"""Texts of notifications: templates of the configuration, of template files, and ours for what is not configured."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache

from trackside.exceptions import ConfigError, DeliveryError, TemplateError
from trackside.model.alerts import Alert, AlertState, Notification
from trackside.server.gotemplate.parser import parse
from trackside.server.gotemplate.rendering import Surroundings, render
from trackside.server.gotemplate.syntax import Definition, Template
from trackside.server.receivers.default_templates import DEFAULTS
from trackside.server.receivers.html_text import html_text
from trackside.server.receivers.own_templates import OWN, OWN_DEFAULTS
from trackside.server.receivers.template_data import HasRunbook, NotificationData, no_runbook
from trackside.server.receivers.template_functions import FUNCTION_NAMES, functions

TREND = "TrendText"
READABLE = 100
"""Alerts that a text still speaks of when there are too many."""
FEWER = (50, 20, 10, 5, 3, 2, 1)

_log = logging.getLogger("trackside.server")


@lru_cache(maxsize=1024)
def compiled(text: str) -> Template:
    """
    Raises:
        TemplateError: it does not parse.
    """
    return parse(text, "text", functions=FUNCTION_NAMES)


def fault(text: str) -> str:
    """Why the text is no template; "" for one that parses."""
    try:
        compiled(text)
    except TemplateError as error:
        return f"this template does not parse: {error.reason} (line {error.line}, column {error.column} of the text)"
    return ""


class NotificationTemplates:
    """All definitions a notification's texts may call."""

    def __init__(
        self,
        files: Mapping[str, str],
        now_ms: Callable[[], int],
        *,
        ours: bool = False,
        has_runbook: HasRunbook = no_runbook,
    ) -> None:
        """`files`: text by file name, from the `templates` of the configuration; later ones win. `ours`: what no text
        is configured for is said in our words, not in Alertmanager's.

        Raises:
            ConfigError: a file does not parse.
        """
        self.now_ms, self.ours, self.has_runbook = now_ms, ours, has_runbook
        self.show_trends = any(TREND in text for text in files.values())
        """Whether a definition of one's own asks for the trend of an alert."""
        self._definitions: dict[str, Definition] = dict(_defaults(ours).definitions)
        for file, text in files.items():
            try:
                self._definitions |= parse(text, file, functions=FUNCTION_NAMES).definitions
            except TemplateError as error:
                raise ConfigError(f"{file}:{error.line}: {error.reason} (column {error.column})") from error

    def texts(self, notification: Notification) -> NotificationTexts:
        around = Surroundings(functions(self.now_ms()), {}, self._definitions)
        return NotificationTexts(notification, around, self)


class NotificationTexts:
    """Renders templates about one notification."""

    def __init__(self, notification: Notification, around: Surroundings, templates: NotificationTemplates) -> None:
        self._notification = notification
        self._around = around
        self._templates = templates
        self.ours = templates.ours

    @cached_property
    def _data(self) -> NotificationData:
        # Not before a template asks: a webhook has none, and all alerts would be spelled out for nothing.
        return NotificationData(self._notification, self._templates.has_runbook)

    @property
    def plain(self) -> str:
        """What it is about, without a template: should every text fail, this is still said."""
        return f"[{self._notification.status.upper()}] {self._notification.group_key}"

    def render(self, text: str, instead: str = "") -> str:
        """`instead` when the template fails: a broken text must not keep the rest of the message from being read."""
        return self._rendered(text, self._around, instead)

    def those_that_say_something(self, texts: Mapping[str, str]) -> dict[str, str]:
        """By name, as `texts`; without those that come out empty."""
        return {name: said for name, text in texts.items() if (said := self.render(text))}

    def html(self, text: str) -> str:
        """The same for a text that is HTML: what it says about alerts is no markup."""
        return self._rendered(text, replace(self._around, written=html_text), "")

    def shortest(
        self, most: int, rendered: Callable[[NotificationTexts], str], size: Callable[[str], int] = len
    ) -> str:
        """A text about as many of the alerts as fit; when not even one does, what is too long. Of texts that are not
        ours the whole: they do not say how many are left out."""
        text = rendered(self)
        counts = (count for count in FEWER if count < len(self._notification.alerts))
        for count in counts if self.ours and size(text) > most else ():
            fewer = first_alerts(urgent_first(self._notification), count)
            text = rendered(NotificationTexts(fewer, self._around, self._templates))
            if size(text) <= most:
                break
        return text

    def required(self, text: str) -> str:
        """
        Raises:
            DeliveryError: the template fails, and without it nothing can be sent.
        """
        if "{{" not in text:
            return text
        try:
            return render(compiled(text), self._data, self._around)
        except TemplateError as error:
            raise DeliveryError(f"a template failed: {error}", retry=False) from error

    def _rendered(self, text: str, around: Surroundings, instead: str) -> str:
        if "{{" not in text:
            return text
        try:
            return render(compiled(text), self._data, around)
        except TemplateError as error:
            _log.warning("a template of receiver %s failed: %s", self._notification.receiver, error)
        if len(self._notification.alerts) <= READABLE:
            return instead
        # Perhaps the text grew beyond its limit: then the first alerts are better than none.
        try:
            shorter = first_alerts(self._notification, READABLE)
            return render(compiled(text), NotificationData(shorter, self._templates.has_runbook), around)
        except TemplateError:
            return instead


def first_alerts(notification: Notification, count: int) -> Notification:
    left_out = max(0, len(notification.alerts) - count)
    truncated = notification.truncated_alerts + left_out
    return replace(notification, alerts=notification.alerts[:count], truncated_alerts=truncated)


def urgent_first(notification: Notification) -> Notification:
    """What fires before what is over, else in the same order."""
    return replace(notification, alerts=tuple(sorted(notification.alerts, key=_is_over)))


def _is_over(alert: Alert) -> bool:
    return alert.state is AlertState.RESOLVED


@lru_cache(maxsize=2)
def _defaults(ours: bool) -> Template:
    return parse(DEFAULTS + OWN + (OWN_DEFAULTS if ours else ""), "defaults", functions=FUNCTION_NAMES)
