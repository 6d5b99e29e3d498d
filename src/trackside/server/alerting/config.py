"""The `route` section: Alertmanager's tree of who is told what, and how often."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from trackside.model.matchers import Matcher, MatchOp
from trackside.server.alerting.matchers import matcher, parse_matchers
from trackside.server.schema import DurationMs, Section

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
ALL_LABELS = "..."
NOT_YET = ("mute_time_intervals", "active_time_intervals")
"""Keys of Alertmanager's routes that this version does not act upon, and so must not take silently."""


def _matchers(value: Any) -> Any:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple):
        raise ValueError('expected a list of matchers, such as [severity="page"]')
    found: list[Matcher] = []
    for text in texts:
        if isinstance(text, Matcher):
            found.append(text)
        elif isinstance(text, str):
            found += parse_matchers(text)
        else:
            raise ValueError(f"expected a matcher as text, found {text!r}")
    return tuple(found)


def _texts(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {key: str(text) if isinstance(text, int | float) else text for key, text in value.items()}


Texts = Annotated[dict[str, str], BeforeValidator(_texts)]


class RouteConfig(Section):
    receiver: str | None = None
    """None: the parent's. So for all that is None here."""
    group_by: tuple[str, ...] | None = None
    """`["..."]`: each alert is a group of its own."""
    group_wait: DurationMs | None = None
    group_interval: DurationMs | None = None
    repeat_interval: DurationMs | None = None
    matchers: Annotated[tuple[Matcher, ...], BeforeValidator(_matchers)] = ()
    match: Texts = Field(default_factory=dict)
    match_re: Texts = Field(default_factory=dict)
    continue_: bool = Field(default=False, alias="continue")
    routes: tuple[RouteConfig, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _nothing_silently(cls, data: Any) -> Any:
        for key in NOT_YET:
            if isinstance(data, dict) and key in data:
                raise ValueError(f"{key}: this version of Trackside does not have it; take it out, or nobody is muted")
        return data

    @field_validator("group_by")
    @classmethod
    def _sound_group_by(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is None:
            return None
        if ALL_LABELS in names and len(names) > 1:
            raise ValueError('"..." stands for all labels, and so must stand alone')
        if len(set(names)) != len(names):
            raise ValueError("a label stands here twice")
        if "" in names:
            raise ValueError("a label name is empty")
        return names

    @field_validator("group_interval", "repeat_interval")
    @classmethod
    def _above_zero(cls, value: int | None) -> int | None:
        if value == 0:
            raise ValueError("expected a duration above 0, such as 5m")
        return value

    @field_validator("match", "match_re")
    @classmethod
    def _plain_names(cls, texts: dict[str, str]) -> dict[str, str]:
        for name in texts:
            if not _LABEL_NAME.fullmatch(name):
                raise ValueError(f"not a label name: {name!r}; other names than letters, digits and _ need `matchers`")
        return texts

    @field_validator("match_re")
    @classmethod
    def _expressions(cls, patterns: dict[str, str]) -> dict[str, str]:
        for name, pattern in patterns.items():
            matcher(name, MatchOp.REGEX, pattern)
        return patterns

    @property
    def all_matchers(self) -> tuple[Matcher, ...]:
        old = [Matcher(name, MatchOp.EQUAL, value) for name, value in self.match.items()]
        old += [Matcher(name, MatchOp.REGEX, value) for name, value in self.match_re.items()]
        return (*old, *self.matchers)


class RootRouteConfig(RouteConfig):
    """The first route: it takes every alert that no other takes."""

    @model_validator(mode="after")
    def _takes_all(self) -> RootRouteConfig:
        if not self.receiver:
            raise ValueError("the first route must name a receiver")
        if self.all_matchers:
            raise ValueError("the first route takes every alert, and so has no matchers")
        if self.continue_:
            raise ValueError("the first route has no other after it: `continue` means nothing here")
        return self
