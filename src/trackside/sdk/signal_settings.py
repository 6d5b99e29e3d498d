"""The environment variables of logs, errors and traces, read once; those of metrics are in the settings beside it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple


# A named tuple: a dataclass costs the importing application half a millisecond.
class SignalSettings(NamedTuple):
    loki_url: str = ""
    """LOKI_URL: where log lines are pushed to; a name and a password may stand in it."""
    sentry_dsn: str = ""
    """SENTRY_DSN; "" reports no errors."""
    sentry_environment: str = ""
    """SENTRY_ENVIRONMENT, else ENVIRONMENT."""
    sentry_release: str = ""
    """SENTRY_RELEASE, else APP_VERSION."""
    error_rate: float | None = None
    """SENTRY_SAMPLE_RATE: the share of errors that is reported."""
    traces_rate: float | None = None
    """SENTRY_TRACES_SAMPLE_RATE: the share of requests that is traced, by Sentry or by OpenTelemetry."""
    profiles_rate: float | None = None
    """SENTRY_PROFILES_SAMPLE_RATE: the share of traced requests that is profiled too."""
    otel_sampler: str = ""
    """OTEL_TRACES_SAMPLER; OpenTelemetry reads it, we need to know whether it is there."""
    otel_exporter: str = ""
    """OTEL_TRACES_EXPORTER: "otlp", "console", "none"; several with commas."""
    otel_endpoint: str = ""
    """OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT; OpenTelemetry reads them too."""
    otel_service: str = ""
    """OTEL_SERVICE_NAME."""
    otel_timeout: str = ""
    """OTEL_EXPORTER_OTLP_TRACES_TIMEOUT or OTEL_EXPORTER_OTLP_TIMEOUT; OpenTelemetry reads them."""
    otel_disabled: bool = False
    """OTEL_SDK_DISABLED."""

    def __repr__(self) -> str:
        # Addresses have keys and passwords in them, and settings are shown in tracebacks.
        return f"SignalSettings(environment={self.sentry_environment!r}, release={self.sentry_release!r}, …)"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> SignalSettings:
        def read(*names: str) -> str:
            return next((found for found in (environ.get(name, "").strip() for name in names) if found), "")

        return cls(
            loki_url=read("LOKI_URL"),
            sentry_dsn=read("SENTRY_DSN"),
            sentry_environment=read("SENTRY_ENVIRONMENT", "ENVIRONMENT"),
            sentry_release=read("SENTRY_RELEASE", "APP_VERSION"),
            error_rate=_share(read("SENTRY_SAMPLE_RATE")),
            traces_rate=_share(read("SENTRY_TRACES_SAMPLE_RATE")),
            profiles_rate=_share(read("SENTRY_PROFILES_SAMPLE_RATE")),
            otel_sampler=read("OTEL_TRACES_SAMPLER"),
            otel_exporter=read("OTEL_TRACES_EXPORTER").lower(),
            otel_endpoint=read("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
            otel_service=read("OTEL_SERVICE_NAME"),
            otel_timeout=read("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"),
            otel_disabled=read("OTEL_SDK_DISABLED").lower() == "true",
        )


def _share(text: str) -> float | None:
    """None for what is no share: a typing error must not keep an application from starting."""
    try:
        share = float(text)
    except ValueError:
        return None
    return share if 0.0 <= share <= 1.0 else None
