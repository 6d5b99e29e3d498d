"""What to scrape, how often, and how much of it: `global` and `scrape_configs`, under Prometheus' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from trackside.server.schema import DurationMs, Section, SizeBytes
from trackside.server.scrape.discovery_config import (
    DnsSdConfig,
    DynamicConfig,
    FileSdConfig,
    HttpSdConfig,
    StaticConfig,
    anchored_file_sd,
    anchored_http_sd,
)
from trackside.server.scrape.http_config import HttpClientConfig, anchored_http
from trackside.server.scrape.relabel import RelabelConfig

DEFAULT_INTERVAL_MS = 15_000
DEFAULT_TIMEOUT_MS = 10_000
# Unbounded, one broken target could fill the memory of the server that all others rely on.
DEFAULT_BODY_SIZE_LIMIT = 50 << 20

Protocol = Literal[
    "PrometheusProto", "OpenMetricsText0.0.1", "OpenMetricsText1.0.0", "PrometheusText0.0.4", "PrometheusText1.0.0"
]
DEFAULT_PROTOCOLS: tuple[Protocol, ...] = (
    "OpenMetricsText1.0.0",
    "OpenMetricsText0.0.1",
    "PrometheusText1.0.0",
    "PrometheusText0.0.4",
)
_SUPPORTED_DISCOVERY = "static_configs, file_sd_configs, http_sd_configs and dns_sd_configs"
_NO_NATIVE_HISTOGRAMS = "native histograms are not scraped; remove the key, and the classic buckets are used"


class ScrapeLimits(Section):
    """What both `global` and each scrape configuration may say. 0: no limit of its own."""

    body_size_limit: SizeBytes = 0
    sample_limit: int = Field(default=0, ge=0)
    label_limit: int = Field(default=0, ge=0)
    label_name_length_limit: int = Field(default=0, ge=0)
    label_value_length_limit: int = Field(default=0, ge=0)
    target_limit: int = Field(default=0, ge=0)
    keep_dropped_targets: int = Field(default=0, ge=0)
    scrape_protocols: tuple[Protocol, ...] = ()
    metric_name_validation_scheme: Literal["", "utf8", "legacy"] = ""
    metric_name_escaping_scheme: Literal["", "allow-utf-8", "underscores"] = ""
    scrape_native_histograms: bool = False
    convert_classic_histograms_to_nhcb: bool = False
    always_scrape_classic_histograms: bool = True
    extra_scrape_metrics: bool | None = None

    @field_validator("scrape_native_histograms", "convert_classic_histograms_to_nhcb")
    @classmethod
    def _classic_only(cls, value: bool) -> bool:
        if value:
            raise ValueError(_NO_NATIVE_HISTOGRAMS)
        return value

    @field_validator("scrape_protocols")
    @classmethod
    def _each_once(cls, value: tuple[Protocol, ...]) -> tuple[Protocol, ...]:
        if len(set(value)) < len(value):
            raise ValueError("the same protocol twice")
        if value == ("PrometheusProto",):
            raise ValueError("PrometheusProto alone cannot be scraped here; add a text protocol")
        return value


class GlobalConfig(ScrapeLimits):
    scrape_interval: DurationMs = DEFAULT_INTERVAL_MS
    scrape_timeout: DurationMs = DEFAULT_TIMEOUT_MS
    evaluation_interval: DurationMs = DEFAULT_INTERVAL_MS
    rule_query_offset: DurationMs = 0
    external_labels: Mapping[str, str] = {}
    body_size_limit: SizeBytes = DEFAULT_BODY_SIZE_LIMIT
    query_log_file: str = ""
    scrape_failure_log_file: str = ""
    runtime: Mapping[str, Any] = {}

    @model_validator(mode="after")
    def _positive(self) -> Self:
        for key in ("scrape_interval", "evaluation_interval", "scrape_timeout"):
            if getattr(self, key) <= 0:
                raise ValueError(f"{key}: expected a duration longer than 0")
        if "scrape_timeout" in self.model_fields_set and self.scrape_timeout > self.scrape_interval:
            raise ValueError(_timeout_reason(self.scrape_timeout, self.scrape_interval))
        return self


class ScrapeConfig(ScrapeLimits, HttpClientConfig):
    job_name: str = Field(min_length=1)
    scrape_interval: DurationMs = 0
    """0 here and in `scrape_timeout`: that of `global`."""
    scrape_timeout: DurationMs = 0
    metrics_path: str = "/metrics"
    scheme: Literal["http", "https"] = "http"
    params: Mapping[str, tuple[str, ...]] = {}
    honor_labels: bool = False
    honor_timestamps: bool = True
    track_timestamps_staleness: bool = False
    fallback_scrape_protocol: Protocol | None = None
    """What an answer is read as whose Content-Type is not one of the formats. Without it, an answer that names no type
    is read as PrometheusText0.0.4, and one that names another is refused."""
    enable_compression: bool = True
    native_histogram_bucket_limit: int = 0
    native_histogram_min_bucket_factor: float = 0
    scrape_failure_log_file: str = ""
    static_configs: tuple[StaticConfig, ...] = ()
    file_sd_configs: tuple[FileSdConfig, ...] = ()
    http_sd_configs: tuple[HttpSdConfig, ...] = ()
    dns_sd_configs: tuple[DnsSdConfig, ...] = ()
    relabel_configs: tuple[RelabelConfig, ...] = ()
    metric_relabel_configs: tuple[RelabelConfig, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _refuse_other_discovery(cls, data: Any) -> Any:
        for key in data if isinstance(data, Mapping) else ():
            if isinstance(key, str) and key.endswith("_sd_configs") and key not in cls.model_fields:
                raise ValueError(f"{key} is not supported; targets may come from {_SUPPORTED_DISCOVERY}")
        return data

    @field_validator("static_configs", "file_sd_configs", "relabel_configs", "metric_relabel_configs", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        # A key whose entries are all commented out is null in YAML.
        return () if value is None else value

    @model_validator(mode="after")
    def _timeout_within_interval(self) -> Self:
        if 0 < self.scrape_interval < self.scrape_timeout:
            raise ValueError(_timeout_reason(self.scrape_timeout, self.scrape_interval))
        return self

    @property
    def dynamic_configs(self) -> tuple[DynamicConfig, ...]:
        return (*self.file_sd_configs, *self.http_sd_configs, *self.dns_sd_configs)


def with_defaults(config: ScrapeConfig, defaults: GlobalConfig) -> ScrapeConfig:
    """`config` with everything it leaves open taken from `global`.

    Raises:
        ValueError: its timeout is longer than its interval, once both are known.
    """
    interval_ms = config.scrape_interval or defaults.scrape_interval
    if config.scrape_timeout > interval_ms:
        raise ValueError(f"job {config.job_name!r}: {_timeout_reason(config.scrape_timeout, interval_ms)}")
    changes: dict[str, Any] = {
        "scrape_interval": interval_ms,
        "scrape_timeout": config.scrape_timeout or min(defaults.scrape_timeout, interval_ms),
        "scrape_protocols": config.scrape_protocols or defaults.scrape_protocols or DEFAULT_PROTOCOLS,
    }
    for key in ScrapeLimits.model_fields:
        if key not in changes and not getattr(config, key):
            changes[key] = getattr(defaults, key)
    return config.model_copy(update=changes)


def check_scrape_configs(configs: Sequence[ScrapeConfig], defaults: GlobalConfig) -> None:
    """
    Raises:
        ValueError: two jobs of one name, or what `with_defaults` refuses.
    """
    seen: set[str] = set()
    for config in configs:
        if config.job_name in seen:
            raise ValueError(f"two scrape_configs have the job_name {config.job_name!r}; each needs its own")
        seen.add(config.job_name)
        with_defaults(config, defaults)


def anchored(config: ScrapeConfig, directory: Path) -> ScrapeConfig:
    """`config` with relative file names made relative to `directory`, the one of the configuration file."""
    changes = anchored_http(config, directory)
    changes["file_sd_configs"] = tuple(anchored_file_sd(part, directory) for part in config.file_sd_configs)
    changes["http_sd_configs"] = tuple(anchored_http_sd(part, directory) for part in config.http_sd_configs)
    return config.model_copy(update=changes)


def _timeout_reason(timeout_ms: int, interval_ms: int) -> str:
    return (
        f"scrape_timeout ({timeout_ms} ms) is longer than scrape_interval ({interval_ms} ms); "
        "a scrape must end before the next begins"
    )
