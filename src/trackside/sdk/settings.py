"""The environment variables of the SDK, read once into a value that says what they mean."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

_NO = frozenset({"0", "f", "false", "n", "no", "off", "disabled"})


@dataclass(frozen=True, slots=True)
class Settings:
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

    def __repr__(self) -> str:
        # The key would otherwise be in every traceback and log line that shows the settings.
        key = "***" if self.server_key else ""
        return (
            f"Settings(enabled={self.enabled}, environment={self.environment!r}, version={self.version!r},"
            f" server_url={self.server_url!r}, server_key={key!r}, multiprocess_dir={self.multiprocess_dir!r})"
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
        )
