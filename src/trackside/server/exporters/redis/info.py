"""The answer to INFO as metrics, under the names of redis_exporter. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from trackside.server.exporters.families import Families

MAX_COMMANDS = 500
MAX_ERRORS = 100
Fields = Mapping[str, str]

# Field of INFO to the name behind redis_, for what only changes its name.
GAUGES: Mapping[str, str] = {
    # Server and clients.
    "uptime_in_seconds": "uptime_in_seconds",
    "process_id": "process_id",
    "io_threads_active": "io_threads_active",
    "connected_clients": "connected_clients",
    "cluster_connections": "cluster_connections",
    "blocked_clients": "blocked_clients",
    "maxclients": "max_clients",
    "tracking_clients": "tracking_clients",
    "clients_in_timeout_table": "clients_in_timeout_table",
    "client_recent_max_input_buffer": "client_recent_max_input_buffer_bytes",
    "client_recent_max_output_buffer": "client_recent_max_output_buffer_bytes",
    "pubsub_clients": "pubsub_clients",
    "watching_clients": "watching_clients",
    # Memory.
    "used_memory": "memory_used_bytes",
    "used_memory_rss": "memory_used_rss_bytes",
    "used_memory_peak": "memory_used_peak_bytes",
    "used_memory_overhead": "memory_used_overhead_bytes",
    "used_memory_startup": "memory_used_startup_bytes",
    "used_memory_dataset": "memory_used_dataset_bytes",
    "used_memory_lua": "memory_used_lua_bytes",
    "used_memory_scripts": "memory_used_scripts_bytes",
    "number_of_cached_scripts": "number_of_cached_scripts",
    "number_of_functions": "number_of_functions",
    "number_of_libraries": "number_of_libraries",
    "maxmemory": "memory_max_bytes",
    "maxmemory_reservation": "memory_max_reservation_bytes",
    "total_system_memory": "total_system_memory_bytes",
    "mem_fragmentation_ratio": "mem_fragmentation_ratio",
    "mem_fragmentation_bytes": "mem_fragmentation_bytes",
    "mem_clients_slaves": "mem_clients_slaves",
    "mem_clients_normal": "mem_clients_normal",
    "mem_cluster_links": "mem_cluster_links_bytes",
    "mem_aof_buffer": "mem_aof_buffer_bytes",
    "mem_replication_backlog": "mem_replication_backlog_bytes",
    "mem_total_replication_buffers": "mem_total_replication_buffers_bytes",
    "mem_not_counted_for_evict": "mem_not_counted_for_eviction_bytes",
    "allocator_active": "allocator_active_bytes",
    "allocator_allocated": "allocator_allocated_bytes",
    "allocator_resident": "allocator_resident_bytes",
    "allocator_frag_ratio": "allocator_frag_ratio",
    "allocator_frag_bytes": "allocator_frag_bytes",
    "allocator_rss_ratio": "allocator_rss_ratio",
    "allocator_rss_bytes": "allocator_rss_bytes",
    "rss_overhead_ratio": "rss_overhead_ratio",
    "rss_overhead_bytes": "rss_overhead_bytes",
    "lazyfree_pending_objects": "lazyfree_pending_objects",
    "active_defrag_running": "active_defrag_running",
    # What is written to disk.
    "loading": "loading_dump_file",
    "async_loading": "async_loading",
    "rdb_changes_since_last_save": "rdb_changes_since_last_save",
    "rdb_bgsave_in_progress": "rdb_bgsave_in_progress",
    "rdb_last_save_time": "rdb_last_save_timestamp_seconds",
    "rdb_last_bgsave_status": "rdb_last_bgsave_status",
    "rdb_last_bgsave_time_sec": "rdb_last_bgsave_duration_sec",
    "rdb_current_bgsave_time_sec": "rdb_current_bgsave_duration_sec",
    "rdb_last_cow_size": "rdb_last_cow_size_bytes",
    "aof_enabled": "aof_enabled",
    "aof_rewrite_in_progress": "aof_rewrite_in_progress",
    "aof_rewrite_scheduled": "aof_rewrite_scheduled",
    "aof_last_rewrite_time_sec": "aof_last_rewrite_duration_sec",
    "aof_current_rewrite_time_sec": "aof_current_rewrite_duration_sec",
    "aof_last_cow_size": "aof_last_cow_size_bytes",
    "aof_current_size": "aof_current_size_bytes",
    "aof_base_size": "aof_base_size_bytes",
    "aof_pending_rewrite": "aof_pending_rewrite",
    "aof_buffer_length": "aof_buffer_length",
    "aof_pending_bio_fsync": "aof_pending_bio_fsync",
    "aof_delayed_fsync": "aof_delayed_fsync",
    "aof_last_bgrewrite_status": "aof_last_bgrewrite_status",
    "aof_last_write_status": "aof_last_write_status",
    "module_fork_in_progress": "module_fork_in_progress",
    "module_fork_last_cow_size": "module_fork_last_cow_size",
    "current_eviction_exceeded_time": "current_eviction_exceeded_time_ms",
    # Statistics that go up and down, or that the exporter takes for such.
    "pubsub_channels": "pubsub_channels",
    "pubsub_patterns": "pubsub_patterns",
    "pubsubshard_channels": "pubsubshard_channels",
    "migrate_cached_sockets": "migrate_cached_sockets_total",
    "expired_time_cap_reached_count": "expired_time_cap_reached_total",
    "expired_stale_perc": "expired_stale_percentage",
    "slave_expires_tracked_keys": "slave_expires_tracked_keys",
    "active_defrag_hits": "defrag_hits",
    "active_defrag_misses": "defrag_misses",
    "active_defrag_key_hits": "defrag_key_hits",
    "active_defrag_key_misses": "defrag_key_misses",
    "tracking_total_keys": "tracking_total_keys",
    "tracking_total_items": "tracking_total_items",
    "tracking_total_prefixes": "tracking_total_prefixes",
    # Copies.
    "connected_slaves": "connected_slaves",
    "repl_backlog_size": "replication_backlog_bytes",
    "repl_backlog_active": "repl_backlog_is_active",
    "repl_backlog_first_byte_offset": "repl_backlog_first_byte_offset",
    "repl_backlog_histlen": "repl_backlog_history_bytes",
    "master_repl_offset": "master_repl_offset",
    "second_repl_offset": "second_repl_offset",
    "sync_full": "replica_resyncs_full",
    "sync_partial_ok": "replica_partial_resync_accepted",
    "sync_partial_err": "replica_partial_resync_denied",
    "cluster_enabled": "cluster_enabled",
}
COUNTERS: Mapping[str, str] = {
    "total_connections_received": "connections_received_total",
    "total_commands_processed": "commands_processed_total",
    "rejected_connections": "rejected_connections_total",
    "total_net_input_bytes": "net_input_bytes_total",
    "total_net_output_bytes": "net_output_bytes_total",
    "total_net_repl_input_bytes": "net_repl_input_bytes_total",
    "total_net_repl_output_bytes": "net_repl_output_bytes_total",
    "expired_keys": "expired_keys_total",
    "evicted_keys": "evicted_keys_total",
    "evicted_clients": "evicted_clients_total",
    "total_eviction_exceeded_time": "eviction_exceeded_time_ms_total",
    "keyspace_hits": "keyspace_hits_total",
    "keyspace_misses": "keyspace_misses_total",
    "used_cpu_sys": "cpu_sys_seconds_total",
    "used_cpu_user": "cpu_user_seconds_total",
    "used_cpu_sys_children": "cpu_sys_children_seconds_total",
    "used_cpu_user_children": "cpu_user_children_seconds_total",
    "used_cpu_sys_main_thread": "cpu_sys_main_thread_seconds_total",
    "used_cpu_user_main_thread": "cpu_user_main_thread_seconds_total",
    "unexpected_error_replies": "unexpected_error_replies",
    "total_error_replies": "total_error_replies",
    "dump_payload_sanitizations": "dump_payload_sanitizations",
    "total_reads_processed": "total_reads_processed",
    "total_writes_processed": "total_writes_processed",
    "io_threaded_reads_processed": "io_threaded_reads_processed",
    "io_threaded_writes_processed": "io_threaded_writes_processed",
    "acl_access_denied_auth": "acl_access_denied_auth_total",
    "acl_access_denied_cmd": "acl_access_denied_cmd_total",
    "acl_access_denied_key": "acl_access_denied_key_total",
    "acl_access_denied_channel": "acl_access_denied_channel_total",
}
_OF_A_COPY: Mapping[str, str] = {
    "master_last_io_seconds_ago": "master_last_io_seconds_ago",
    "master_sync_in_progress": "master_sync_in_progress",
    "master_link_status": "master_link_up",
}
_ABOUT = ("redis_mode", "role", "redis_version", "redis_build_id", "os", "maxmemory_policy", "tcp_port", "run_id")
_WORDS = {"ok": 1.0, "up": 1.0, "yes": 1.0, "fail": 0.0, "err": 0.0, "down": 0.0, "no": 0.0}
_DATABASE = re.compile(r"db\d{1,6}")
_COPY = re.compile(r"slave\d{1,4}")


def parsed_info(text: str) -> dict[str, str]:
    """Field to its text. Lines that are none are left out."""
    pairs = (line.partition(":") for line in text.replace("\0", "\ufffd").splitlines() if not line.startswith("#"))
    return {name: value for name, separator, value in pairs if separator}


def told(families: Families, fields: Fields) -> None:
    """All of it, as far as it is known here."""
    for names, add in ((GAUGES, families.gauge), (COUNTERS, families.counter)):
        for field, name in names.items():
            if (value := number(fields.get(field, ""))) is not None:
                add(f"redis_{name}", f"Field {field} of INFO.", value)
    if (fork_us := number(fields.get("latest_fork_usec", ""))) is not None:
        families.gauge("redis_latest_fork_seconds", "How long the last fork took.", fork_us / 1e6)
    # Other processes of the family have version and name of their own beside Redis'.
    about = {name: fields.get(name, "") for name in _ABOUT}
    about["process_id"] = fields.get("process_id", "")
    families.gauge("redis_instance_info", "What it is.", 1, **about)
    for one in (_databases, _commands, _errors, _latencies, _copies, _master):
        one(families, fields)


def number(text: str) -> float | None:
    if text in _WORDS:
        return _WORDS[text]
    try:
        return float(text)
    except ValueError:
        return None


def _parts(text: str) -> dict[str, str]:
    """`keys=3,expires=1` taken apart."""
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)


def _of(fields: Fields, known: Callable[[str], bool]) -> Iterator[tuple[str, dict[str, str]]]:
    return ((name, _parts(value)) for name, value in fields.items() if known(name))


def _databases(families: Families, fields: Fields) -> None:
    for name, parts in _of(fields, lambda field: _DATABASE.fullmatch(field) is not None):
        families.gauge("redis_db_keys", "Keys of the database.", number(parts.get("keys", "")), db=name)
        families.gauge("redis_db_keys_expiring", "Keys that expire.", number(parts.get("expires", "")), db=name)
        if (ttl_ms := number(parts.get("avg_ttl", ""))) is not None:
            families.gauge("redis_db_avg_ttl_seconds", "How long its keys live, on average.", ttl_ms / 1000, db=name)


def _commands(families: Families, fields: Fields) -> None:
    found = list(_of(fields, lambda field: field.startswith("cmdstat_")))
    for name, parts in sorted(found, key=lambda one: -(number(one[1].get("calls", "")) or 0))[:MAX_COMMANDS]:
        command = name.removeprefix("cmdstat_")
        families.counter("redis_commands_total", "Calls, by command.", number(parts.get("calls", "")), cmd=command)
        families.counter(
            "redis_commands_duration_seconds_total",
            "Time spent, by command.",
            (number(parts.get("usec", "")) or 0.0) / 1e6,
            cmd=command,
        )
        for part in ("rejected_calls", "failed_calls"):
            if part in parts:
                families.counter(
                    f"redis_commands_{part}_total", "Calls that did not succeed.", number(parts[part]), cmd=command
                )


def _errors(families: Families, fields: Fields) -> None:
    found = list(_of(fields, lambda field: field.startswith("errorstat_")))
    for name, parts in found[:MAX_ERRORS]:
        count = number(parts.get("count", ""))
        families.counter(
            "redis_errors_total", "Errors, by their first word.", count, err=name.removeprefix("errorstat_")
        )


def _latencies(families: Families, fields: Fields) -> None:
    found = list(_of(fields, lambda field: field.startswith("latency_percentiles_usec_")))
    for name, parts in found[:MAX_COMMANDS]:
        command = name.removeprefix("latency_percentiles_usec_")
        calls = _parts(fields.get(f"cmdstat_{command}", ""))
        families.summary(
            "redis_latency_percentiles_usec",
            "How long calls take.",
            {quantile.removeprefix("p"): number(value) for quantile, value in parts.items()},
            (number(calls.get("usec", "")) or 0.0, number(calls.get("calls", "")) or 0.0),
            cmd=command,
        )


def _copies(families: Families, fields: Fields) -> None:
    for _, parts in _of(fields, lambda field: _COPY.fullmatch(field) is not None):
        labels = {
            "slave_ip": parts.get("ip", ""),
            "slave_port": parts.get("port", ""),
            "slave_state": parts.get("state", ""),
        }
        families.gauge("redis_connected_slave_offset_bytes", "What it has.", number(parts.get("offset", "")), **labels)
        families.gauge(
            "redis_connected_slave_lag_seconds", "When it last said so.", number(parts.get("lag", "")), **labels
        )


def _master(families: Families, fields: Fields) -> None:
    if fields.get("role") != "slave":
        return
    labels = {"master_host": fields.get("master_host", ""), "master_port": fields.get("master_port", "")}
    for field, name in _OF_A_COPY.items():
        if (value := number(fields.get(field, ""))) is not None:
            families.gauge(f"redis_{name}", f"Field {field} of INFO.", value, **labels)
    if (offset := number(fields.get("slave_repl_offset", ""))) is not None:
        families.gauge("redis_slave_repl_offset", "What this copy has.", offset, **labels)
    if (priority := number(fields.get("slave_priority", ""))) is not None:
        families.gauge("redis_slave_priority", "Which copy is to take over: the lowest.", priority)
    families.gauge(
        "redis_slave_info", "What it is a copy of.", 1, read_only=fields.get("slave_read_only", ""), **labels
    )
