"""The `route` and `inhibit_rules` sections: Alertmanager's tree of who is told what, and what is not worth telling."""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator, model_validator

from trackside.model.matchers import Matcher
from trackside.server.alerting.inhibit_rule import InhibitRule
from trackside.server.alerting.matcher_config import (
    Equalities,
    Matchers,
    Patterns,
    all_matchers,
    label_name,
    syntax_of,
)
from trackside.server.schema import DurationMs, Section, Text

ALL_LABELS = "..."


class RouteConfig(Section):
    receiver: Text | None = None
    """None: the parent's. So for all that is None here."""
    group_by: tuple[Text, ...] | None = None
    """`["..."]`: each alert is a group of its own."""
    group_wait: DurationMs | None = None
    group_interval: DurationMs | None = None
    repeat_interval: DurationMs | None = None
    matchers: Matchers = ()
    match: Equalities = Field(default_factory=dict)
    match_re: Patterns = Field(default_factory=dict)
    continue_: bool = Field(default=False, alias="continue")
    mute_time_intervals: tuple[Text, ...] = ()
    active_time_intervals: tuple[Text, ...] = ()
    routes: tuple[RouteConfig, ...] = ()

    @field_validator("group_by")
    @classmethod
    def _sound_group_by(cls, names: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        if names is None:
            return None
        if ALL_LABELS in names and len(names) > 1:
            raise ValueError('"..." stands for all labels, and so must stand alone')
        if len(set(names)) != len(names):
            raise ValueError("a label stands here twice")
        for name in names:
            if name != ALL_LABELS:
                label_name(name, syntax_of(info))
        return names

    @field_validator("group_interval", "repeat_interval")
    @classmethod
    def _above_zero(cls, value: int | None) -> int | None:
        if value == 0:
            raise ValueError("expected a duration above 0, such as 5m")
        return value

    @property
    def all_matchers(self) -> tuple[Matcher, ...]:
        return all_matchers(self.match, self.match_re, self.matchers)


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
        if self.mute_time_intervals or self.active_time_intervals:
            raise ValueError("the first route is never muted: name time intervals in a route below it")
        return self


class InhibitRuleConfig(Section):
    name: Text = ""
    source_match: Equalities = Field(default_factory=dict)
    source_match_re: Patterns = Field(default_factory=dict)
    source_matchers: Matchers = ()
    target_match: Equalities = Field(default_factory=dict)
    target_match_re: Patterns = Field(default_factory=dict)
    target_matchers: Matchers = ()
    equal: tuple[Text, ...] = ()

    @field_validator("equal")
    @classmethod
    def _label_names(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        return tuple(label_name(name, syntax_of(info)) for name in names)

    @property
    def rule(self) -> InhibitRule:
        return InhibitRule(
            all_matchers(self.source_match, self.source_match_re, self.source_matchers),
            all_matchers(self.target_match, self.target_match_re, self.target_matchers),
            tuple(dict.fromkeys(self.equal)),
            self.name,
        )
