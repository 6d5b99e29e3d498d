"""One entry of `uptime.heartbeats`: when a job is to be heard, and from when on it is missed."""

from __future__ import annotations

import re

from pydantic import Field, SecretStr, field_validator, model_validator

from trackside.server.probes.heartbeats.cron import Cron
from trackside.server.probes.maintenance import zone
from trackside.server.schema import DurationMs, Section

_NAME = re.compile(r"\S(?:.{0,98}\S)?")
_KEY = re.compile(r"[A-Za-z0-9_-]{24,100}")


class HeartbeatConfig(Section):
    name: str
    period: DurationMs = 0
    """How often it is to be heard."""
    schedule: str = ""
    """When it runs, as in a crontab: `30 2 * * mon-fri`."""
    timezone: str = "UTC"
    """Of the schedule."""
    grace: DurationMs = 3_600_000
    """How much later than expected it may come."""
    max_run: DurationMs = 0
    """From start to success; left out: as long as `grace`."""
    key: SecretStr = SecretStr("")
    """Of its address; left out: one that is derived from a secret of this server, and stays the same."""
    rate_per_minute: int = Field(default=60, ge=1, le=6_000)

    @field_validator("name")
    @classmethod
    def _is_name(cls, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise ValueError("expected one line of at most 100 characters, without spaces around it")
        return name

    @field_validator("timezone")
    @classmethod
    def _is_zone(cls, name: str) -> str:
        zone(name)
        return name

    @field_validator("key")
    @classmethod
    def _is_key(cls, key: SecretStr) -> SecretStr:
        if key.get_secret_value() and not _KEY.fullmatch(key.get_secret_value()):
            raise ValueError("expected 24 to 100 letters, digits, - and _: whoever guesses the key can feign the job")
        return key

    @model_validator(mode="after")
    def _is_expected(self) -> HeartbeatConfig:
        if bool(self.period) + bool(self.schedule) != 1:
            raise ValueError(f"the heartbeat {self.name!r} needs one of period and schedule")
        if self.schedule:
            try:
                Cron.parsed(self.schedule)
            except ValueError as error:
                raise ValueError(f"schedule: {error}") from error
        return self

    @property
    def most_run_ms(self) -> int:
        return self.max_run or self.grace
