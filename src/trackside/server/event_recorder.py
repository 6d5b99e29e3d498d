"""Sections of Alertmanager about its own traces and records, which are read and have no effect."""

from __future__ import annotations

from collections.abc import Mapping

from trackside.server.receivers.fields import Count, Flag, GoDurationMs, SecretText, SecretUrl
from trackside.server.receivers.http_config import HttpConfig, TlsConfig
from trackside.server.schema import Section, Text


class TracingConfig(Section):
    endpoint: Text = ""
    client_type: Text = "grpc"
    sampling_fraction: float = 0
    insecure: Flag = False
    tls_config: TlsConfig | None = None
    headers: Mapping[str, SecretText] = {}
    compression: Text = ""
    timeout: Text = ""


class FileOutput(Section):
    path: Text


class WebhookOutput(Section):
    url: SecretUrl
    http_config: HttpConfig | None = None
    timeout: GoDurationMs = 0
    max_retries: Count = 0
    retry_backoff: GoDurationMs = 0
    workers: Count = 0


class KafkaOutput(Section):
    brokers: tuple[Text, ...]
    topic: Text
    client_id: Text = ""
    acks: Text = ""
    buffer_size: Count = 0
    compression: Text = ""
    format: Text = ""
    tls_config: TlsConfig | None = None


class EventRecorderConfig(Section):
    file_outputs: tuple[FileOutput, ...] = ()
    webhook_outputs: tuple[WebhookOutput, ...] = ()
    kafka_outputs: tuple[KafkaOutput, ...] = ()
