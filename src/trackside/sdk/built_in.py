"""The families that a monitor and its adapters make by themselves: all but them are the application's own.

By name, and not by who made one: of several workers each knows only what it made itself. And no beginnings of names: an
application may well count its own `job_applications_total`. Queries to language models are the application's own too,
whoever measures them: what they cost is its business.
"""

from __future__ import annotations

from collections.abc import Iterator

OF_THE_MONITOR = ("app_info", "health_check_up")
OF_EVERY_PROCESS = ("process_", "python_", "trackside_")
"""Beginnings of names that nothing else has."""

_OF_REQUESTS = (
    "websocket_connections_total",
    "websocket_connections_closed_total",
    "websocket_messages_received_total",
    "websocket_messages_sent_total",
    "websocket_connection_duration_seconds",
)
_OF_ADAPTERS = (
    "beat_interval_seconds",
    "beat_last_timestamp_seconds",
    "db_connection_wait_seconds",
    "db_connections_idle",
    "db_connections_in_use",
    "db_connections_max",
    "db_connections_overflow",
    "db_query_duration_seconds",
    "db_query_errors_total",
    "event_loop_lag_seconds",
    "integration_call_duration_seconds",
    "integration_calls_total",
    "integration_errors_total",
    "job_duration_seconds",
    "job_retries_total",
    "job_wait_seconds",
    "job_worker_last_seen_timestamp_seconds",
    "jobs_in_progress",
    "jobs_total",
    "mcp_tool_calls_total",
    "mcp_tool_duration_seconds",
    "mongo_command_duration_seconds",
    "mongo_command_errors_total",
    "mongo_connections_idle",
    "mongo_connections_in_use",
    "mongo_connections_max",
    "redis_command_duration_seconds",
    "redis_command_errors_total",
    "redis_connections_idle",
    "redis_connections_in_use",
    "redis_connections_max",
)


def built_in_names(prefix: str, requests_prefix: str) -> Iterator[str]:
    """With the prefixes of the application."""
    yield from OF_THE_MONITOR
    yield from (requests_prefix + name for name in _OF_REQUESTS)
    yield from (prefix + name for name in _OF_ADAPTERS)
