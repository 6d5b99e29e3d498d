"""The environment variables of the SDK, read once into a value that says what they mean."""

from __future__ import annotations

import os
from collections.abc import Mapping

from trackside.model.cheap_typing import NamedTuple

_NO = frozenset({"0", "f", "false", "n", "no", "off", "disabled"})
_YES = frozenset({"1", "t", "true", "y", "yes", "on", "enabled"})
SLOW_QUERY_S = 1.0


class Settings(NamedTuple):
    enabled: bool = True
    """ENABLE_PROMETHEUS_METRICS. Unset and empty mean yes."""
    environment: str = ""
    """ENVIRONMENT: "production", "staging"."""
    version: str = ""
    """APP_VERSION."""
    server_url: str = ""
    """TRACKSIDE_URL: where the server is, without a slash at the end; "" is nowhere."""
    server_key: str = ""
    """TRACKSIDE_KEY."""
    multiprocess_dir: str = ""
    """PROMETHEUS_MULTIPROC_DIR: where prometheus_client's objects of several workers keep their values."""
    slow_query_s: float = SLOW_QUERY_S
    """TRACKSIDE_SLOW_QUERY_SECONDS: database queries that take as long are logged; 0 logs none."""
    remote_write_url: str = ""
    """PROMETHEUS_REMOTE_WRITE_URL: where metrics are pushed to, where nothing can scrape; "" is nowhere."""
    remote_write_username: str = ""
    """PROMETHEUS_REMOTE_WRITE_USERNAME."""
    remote_write_password: str = ""
    """PROMETHEUS_REMOTE_WRITE_PASSWORD. Without a name it is sent as a bearer token."""
    remote_write_native_histograms: bool = False
    """PROMETHEUS_REMOTE_WRITE_NATIVE_HISTOGRAMS: send them with their buckets; a receiver that does not expect them may
    refuse everything."""

    def __repr__(self) -> str:
        # The key would otherwise be in every traceback and log line that shows the settings.
        key = "***" if self.server_key else ""
        return (
            f"Settings(enabled={self.enabled}, environment={self.environment!r}, version={self.version!r},"
            f" server_url={self.server_url!r}, server_key={key!r}, multiprocess_dir={self.multiprocess_dir!r},"
            f" slow_query_s={self.slow_query_s!r})"
        )

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        def read(name: str) -> str:
            return environ.get(name, "").strip()

        return cls(
            enabled=read("ENABLE_PROMETHEUS_METRICS").lower() not in _NO,
            environment=read("ENVIRONMENT"),
            version=read("APP_VERSION"),
            server_url=read("TRACKSIDE_URL").rstrip("/"),
            server_key=read("TRACKSIDE_KEY"),
            multiprocess_dir=read("PROMETHEUS_MULTIPROC_DIR") or read("prometheus_multiproc_dir"),
            slow_query_s=_seconds(read("TRACKSIDE_SLOW_QUERY_SECONDS"), SLOW_QUERY_S),
            remote_write_url=read("PROMETHEUS_REMOTE_WRITE_URL"),
            remote_write_username=read("PROMETHEUS_REMOTE_WRITE_USERNAME"),
            remote_write_password=read("PROMETHEUS_REMOTE_WRITE_PASSWORD"),
            remote_write_native_histograms=read("PROMETHEUS_REMOTE_WRITE_NATIVE_HISTOGRAMS").lower() in _YES,
        )


def _seconds(text: str, otherwise: float) -> float:
    """A text that is no number is as good as none: a typing error must not keep an application from starting."""
    try:
        seconds = float(text)
    except ValueError:
        return otherwise
    return seconds if seconds >= 0 else otherwise
