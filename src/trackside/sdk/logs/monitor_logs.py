"""What `monitor.logs()` does: builds the handler from its options and points everything at it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TextIO

from trackside.sdk.about import About
from trackside.sdk.families.maker import Maker
from trackside.sdk.flushing import Flushing
from trackside.sdk.logs.handler import JsonHandler
from trackside.sdk.logs.lines import FIELD_NAMES, Lines
from trackside.sdk.logs.loki import LokiPush, destination
from trackside.sdk.logs.output import Output
from trackside.sdk.logs.request_scope import AsgiRequestScope, WsgiRequestScope
from trackside.sdk.logs.structlog_lines import connect
from trackside.sdk.logs.takeover import log_uncaught, take_over
from trackside.sdk.push.destination import Destination
from trackside.sdk.scrub import Scrubber
from trackside.sdk.surroundings import Layer, Surroundings


@dataclass(frozen=True, slots=True)
class LogOptions:
    level: int | str = "INFO"
    stream: TextIO | str = "stdout"
    names: Mapping[str, str] = field(default_factory=lambda: FIELD_NAMES)
    secret_keys: Iterable[str] = ()
    levels: Mapping[str, int | str] = field(default_factory=dict)
    push: str | bool | None = None


class MonitorLogs:
    """The logs of one monitor, which may be set up again with other options."""

    def __init__(self, about: About) -> None:
        self._about = about
        self._context = about.context
        self._push: LokiPush | None = None
        self.handler: JsonHandler | None = None
        self._level = logging.INFO
        self._surrounds = False

    @classmethod
    def of(cls, about: About) -> MonitorLogs:
        return about.context.shared.the(cls, lambda: cls(about))

    def set_up(self, options: LogOptions) -> JsonHandler:
        """
        Raises:
            ValueError: no such level, stream or address.
        """
        count = self._context.registry.count_error
        level = _level(options.level)
        if isinstance(options.stream, str) and options.stream not in ("stdout", "stderr"):
            raise ValueError(f'stream must be "stdout", "stderr" or a stream to write to; got {options.stream!r}')
        output = Output(options.stream, count)
        handler = JsonHandler(Lines(options.names, Scrubber(options.secret_keys)), output, count)
        self._set_push(options.push)
        if self._push is not None:
            output.copy = self._push.add
        self.handler, self._level = handler, level
        self.take_over()
        logging.getLogger().setLevel(level)
        for name, own_level in options.levels.items():
            logging.getLogger(name).setLevel(_level(own_level))
        log_uncaught()
        if not self._surrounds:
            self._surrounds = True
            Surroundings.of(self._context).add(
                Layer(lambda app: AsgiRequestScope(app, self.take_over), WsgiRequestScope)
            )
        return handler

    def take_over(self) -> None:
        """Again where somebody has configured logging anew since: uvicorn does so when it is started from code."""
        with self._context.guard.shielded("take over logging"):
            if self.handler is not None:
                take_over(self.handler)
                connect(self.handler, self._level)

    def _set_push(self, push: str | bool | None) -> None:
        to = self._push_to(push)
        if self._push is not None and (push is False or (to is not None and to != self._push.destination)):
            self._push.stop()
            self._push = None
        if to is not None and self._push is None:
            labels = {"app": self._about.service, "environment": self._about.settings.environment}
            self._push = LokiPush(to, labels, self._counter())
            Flushing.of(self._context).add_asked(self._push.ask)

    def _push_to(self, push: str | bool | None) -> Destination | None:
        """None: nothing is said of another place than until now, or that there is none."""
        if push is False:
            return None
        url = push if isinstance(push, str) else self._about.signals.loki_url
        if url:
            return destination(url)
        if push is not True:
            return None
        settings = self._about.settings
        if not settings.server_url:
            raise ValueError("push=True needs TRACKSIDE_URL or LOKI_URL in the environment; or give an address")
        return destination(settings.server_url, settings.server_key)

    def _counter(self) -> Callable[[str, int], None]:
        counter = Maker(self._context.registry, self._context.guard).counter(
            "trackside_logs_push_total",
            "Requests that pushed log lines (sent, refused for good, failed and tried again), and lines dropped.",
            ("outcome",),
        )
        return lambda outcome, amount: counter.labels(outcome).inc(amount)


def _level(level: int | str) -> int:
    number = logging.getLevelName(level.upper()) if isinstance(level, str) else level
    if not isinstance(number, int):
        raise ValueError(f'level must be one of logging\'s, such as "INFO"; got {level!r}')
    return number
