"""The two rules on databases that a real deployment asks for, on a real PostgreSQL and a real Redis."""

import psycopg
import pytest
import redis

CONFIG = """
global: {{scrape_interval: 5s, scrape_timeout: 5s, evaluation_interval: 5s}}
exporters:
  postgres: [{{url: "{postgres}", interval: 5s, labels: {{team: data}}}}]
  redis: [{{url: "{redis}", interval: 5s, instance: cache}}]
rule_files: [rules.yml]
"""
RULES = """
groups:
- name: databases
  rules:
  - alert: DatabaseConnectionPoolExhausted
    expr: >-
      sum by (instance) (pg_stat_activity_count)
      > on (instance) max by (instance) (pg_settings_max_connections) * 0.3
    labels: {severity: critical}
  - alert: RedisHighMemory
    expr: redis_memory_used_bytes / (redis_memory_max_bytes > 0) > 0.9
    labels: {severity: warning}
  - alert: DatabaseDown
    expr: pg_up == 0 or redis_up == 0
"""


@pytest.fixture
def outpost(tmp_path, outposts, postgres_url, redis_url):
    (tmp_path / "rules.yml").write_text(RULES)
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory", "0")
    return outposts(CONFIG.format(postgres=postgres_url, redis=redis_url))


def names(outpost):
    return {name for name, _, _ in outpost.firing()}


def test_connections_that_run_out(outpost, postgres_url):
    outpost.advance(12)
    assert outpost.value('pg_settings_max_connections{job="postgres", team="data"}') == 40
    assert names(outpost) == set()

    connections = [psycopg.connect(postgres_url) for _ in range(14)]
    outpost.advance(12)
    assert names(outpost) == {"DatabaseConnectionPoolExhausted"}

    for connection in connections:
        connection.close()
    outpost.advance(12)
    assert names(outpost) == set()


def test_memory_that_runs_out_and_never_where_there_is_no_limit(outpost, redis_url):
    outpost.advance(12)
    assert outpost.value('redis_memory_max_bytes{instance="cache"}') == 0
    assert names(outpost) == set()

    with redis.Redis.from_url(redis_url) as client:
        used = client.info("memory")["used_memory"]
        client.config_set("maxmemory", used + 10_000)
        outpost.advance(12)
        assert names(outpost) == {"RedisHighMemory"}
        client.config_set("maxmemory", "0")
    outpost.advance(12)
    assert names(outpost) == set()


def test_a_database_that_is_gone_is_a_target_that_is_down_with_a_reason(outposts, tmp_path):
    (tmp_path / "rules.yml").write_text(RULES)
    gone = outposts(
        CONFIG.format(postgres="postgresql://me:hunter2@127.0.0.1:1/x", redis="redis://:hunter2@127.0.0.1:1/0")
    )
    gone.advance(12)

    assert names(gone) == {"DatabaseDown"}
    assert (gone.value("pg_up"), gone.value("redis_up"), gone.value('up{job="postgres"}')) == (0, 0, 0)
    shown = gone.get("/api/v1/targets").text + gone.get("/targets").text + gone.get("/api/v1/status/config").text
    assert "127.0.0.1:1" in shown
    assert "hunter2" not in shown
