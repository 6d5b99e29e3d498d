"""What a PostgreSQL server is asked: SQL that only reads, each statement bounded in rows. No table of the user's."""

from __future__ import annotations

MAX_DATABASES = 200
MAX_TABLES = 200
"""Of the connected database: the largest."""

# Set, not given at the start of the connection: poolers refuse options there.
READ_ONLY = "SET default_transaction_read_only = on"
TIMEOUTS = "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)"
OWN_SETTINGS = ("default_transaction_read_only", "transaction_read_only", "statement_timeout", "lock_timeout")
"""Of this session; of them the server's own values are shown."""

VERSION = "SELECT version(), current_setting('server_version_num')::int, pg_is_in_recovery()"

SETTINGS = """
SELECT name, CASE WHEN name = ANY(%s) THEN reset_val ELSE setting END AS value, coalesce(unit, '') AS unit,
       short_desc, vartype
FROM pg_settings WHERE vartype IN ('bool', 'integer', 'real') AND name <> 'sync_commit_cancel_wait' LIMIT 2000
"""

# Each database with each state, so that what is 0 is 0 and not absent.
ACTIVITY = f"""
SELECT databases.datname, states.state, coalesce(found.number, 0) AS number, coalesce(found.longest_s, 0) AS longest_s
FROM (SELECT datname FROM pg_database ORDER BY oid LIMIT {MAX_DATABASES}) AS databases
CROSS JOIN unnest(ARRAY['active', 'idle', 'idle in transaction', 'idle in transaction (aborted)',
                        'fastpath function call', 'disabled']) AS states (state)
LEFT JOIN (
    SELECT datname, state, count(*) AS number, max(extract(epoch FROM now() - xact_start))::float8 AS longest_s
    FROM pg_stat_activity GROUP BY datname, state
) AS found USING (datname, state)
"""

LOCKS = f"""
SELECT databases.datname, modes.mode, coalesce(found.number, 0) AS number
FROM (SELECT oid, datname FROM pg_database ORDER BY oid LIMIT {MAX_DATABASES}) AS databases
CROSS JOIN unnest(ARRAY['accesssharelock', 'rowsharelock', 'rowexclusivelock', 'shareupdateexclusivelock',
                        'sharelock', 'sharerowexclusivelock', 'exclusivelock', 'accessexclusivelock',
                        'sireadlock']) AS modes (mode)
LEFT JOIN (
    SELECT database, lower(mode) AS mode, count(*) AS number
    FROM pg_locks WHERE database IS NOT NULL GROUP BY database, lower(mode)
) AS found ON found.database = databases.oid AND found.mode = modes.mode
"""

# Who may not connect to a database may not ask for its size.
SIZES = f"""
SELECT datname, pg_database_size(oid) AS bytes FROM pg_database
WHERE has_database_privilege(oid, 'CONNECT') ORDER BY oid LIMIT {MAX_DATABASES}
"""

DATABASES = f"SELECT * FROM pg_stat_database ORDER BY datid LIMIT {MAX_DATABASES}"
CONFLICTS = f"SELECT * FROM pg_stat_database_conflicts ORDER BY datid LIMIT {MAX_DATABASES}"
BACKGROUND_WRITER = "SELECT * FROM pg_stat_bgwriter"
CHECKPOINTER = "SELECT * FROM pg_stat_checkpointer"
ARCHIVER = """
SELECT archived_count, failed_count, extract(epoch FROM now() - last_archived_time)::float8 AS last_archive_age
FROM pg_stat_archiver
"""

# On the server that is copied to: how far it is behind. Nothing to replay means not behind, however long ago that was.
REPLICA_LAG = """
SELECT CASE WHEN NOT pg_is_in_recovery() OR pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
            ELSE greatest(0, extract(epoch FROM now() - pg_last_xact_replay_timestamp()))::float8 END AS lag_s
"""
REPLICAS = """
SELECT application_name, coalesce(client_addr::text, '') AS client_addr, state,
       coalesce((SELECT slot_name FROM pg_replication_slots AS slots WHERE slots.active_pid = pid LIMIT 1), '')
           AS slot_name,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
                       replay_lsn)::float8 AS behind_bytes
FROM pg_stat_replication LIMIT 100
"""
SLOTS = """
SELECT slot_name, slot_type, coalesce(database, '') AS database, active,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
                       restart_lsn)::float8 AS behind_bytes
FROM pg_replication_slots LIMIT 100
"""

TABLES = f"""
SELECT current_database() AS datname, schemaname, relname, seq_scan, seq_tup_read, idx_scan, idx_tup_fetch, n_tup_ins,
       n_tup_upd, n_tup_del, n_tup_hot_upd, n_live_tup, n_dead_tup, n_mod_since_analyze,
       coalesce(extract(epoch FROM last_vacuum), 0)::float8 AS last_vacuum,
       coalesce(extract(epoch FROM last_autovacuum), 0)::float8 AS last_autovacuum,
       coalesce(extract(epoch FROM last_analyze), 0)::float8 AS last_analyze,
       coalesce(extract(epoch FROM last_autoanalyze), 0)::float8 AS last_autoanalyze,
       vacuum_count, autovacuum_count, analyze_count, autoanalyze_count
FROM pg_stat_user_tables ORDER BY n_live_tup DESC, relid LIMIT {MAX_TABLES}
"""
