"""Queries that teams wrote in good faith: all that are wrong are found, and none of those that were put right."""

from pathlib import Path

import pytest

from trackside.model.durations import parse_duration
from trackside.server.lint.facts import Facts
from trackside.server.lint.finding import Subject
from trackside.server.lint.linter import lint
from trackside.server.promql.parser import parse
from trackside.server.yamlfile import parse_yaml

FILE = Path(__file__).parents[2].parent / "shared" / "seed_queries.yml"
# What the five systems export, as their pages describe it.
STORED = (
    *(
        f'http_requests_total{{method="GET",endpoint="/a",status_code="{code}",instance="{instance}"}} 5'
        for code in (200, 500)
        for instance in "ab"
    ),
    *(
        f'http_request_duration_seconds_bucket{{endpoint="/a",le="{le}",instance="a"}}'
        for le in ("0.1", "1", "5", "+Inf")
    ),
    *(
        f'{name}{{query_type="select",instance="a"}}'
        for name in ("db_query_duration_seconds_sum", "db_query_duration_seconds_count")
    ),
    'db_query_duration_seconds_bucket{query_type="select",le="1",instance="a"}',
    'db_connections_total{instance="a"} 7',
    *(
        f'{name}{{instance="a"}} 7'
        for name in ("integration_errors_total", "ai_query_errors_total", "customers_loaded_total")
    ),
    'churn_predictions_high_risk{instance="a"} 7',
    'mcp_tool_calls_total{tool="t",instance="a"}',
    'cache_hit_rate{cache_type="customer_profiles",instance="a"} 0.9',
    'cache_misses_total{cache_type="customer_profiles",instance="a"}',
    'ai_tokens_used_total{model="m",type="input",instance="a"}',
    'apalis_jobs_total{job="j",instance="a"}',
    'apalis_jobs_failed_total{job="j",instance="a"}',
    'apalis_jobs_duration_seconds_bucket{job="j",le="1",instance="a"}',
    'apalis_active_jobs{instance="a"} 3',
    'messages_processed_total{message_type="dm",instance="a"}',
    'messages_failed_total{message_type="dm",error_type="e",instance="a"}',
    'messages_received_total{message_type="dm",user_id="u",instance="a"}',
    'buffer_size{user_id="u",instance="a"} 5',
    'buffer_capacity{user_id="u",instance="a"} 10',
    'edge_relay_connections{instance="a"} 2',
    'consumer_connections{instance="a"} 3',
    'db_write_duration_seconds_bucket{table="t",le="1",instance="a"}',
    *(f'railgun_http_requests_total{{method="GET",path="/a",status="{code}",instance="a"}} 5' for code in (200, 500)),
    *(
        f'railgun_http_request_duration_seconds_bucket{{path="/a",le="{le}",instance="a"}}'
        for le in ("0.5", "1", "5", "+Inf")
    ),
    'railgun_http_request_duration_seconds_count{path="/a",instance="a"}',
    'pg_stat_activity_count{datname="d",state="idle",instance="a"} 3',
    'pg_settings_max_connections{instance="a"} 100',
    'redis_memory_used_bytes{instance="a"} 5',
    'redis_memory_max_bytes{instance="a"} 0',
)
# What the corrected queries need beside it.
ADDED = (
    'http_request_duration_seconds_count{endpoint="/a",instance="a"}',
    'db_connections_in_use{instance="a"} 3',
    'db_connections_max{instance="a"} 20',
    'customers_loaded_timestamp_seconds{instance="a"} 1000',
    'cache_hits_total{cache_type="customer_profiles",instance="a"}',
    'railgun_http_request_duration_seconds_bucket{path="/a",le="2",instance="a"}',
)


def _queries() -> list[dict]:
    return parse_yaml(FILE.read_text(), str(FILE)).tree["queries"] if FILE.exists() else []


def subject(entry: dict, which: str, number: int) -> Subject:
    expr, text = entry[which], entry.get("text", "")
    if entry["kind"] == "query":
        return Subject(entry["where"], "query", expr, parse(expr), line=number)
    wait_ms = parse_duration(entry.get("for", "0"))
    parts = (entry["alert"], "alert", expr, parse(expr), text, {}, {"summary": text}, wait_ms)
    return Subject(*parts, file=str(number))


@pytest.fixture(scope="module")
def found():
    def run(which: str, stored=None) -> dict[str, list[str]]:
        """Numbers of the checks by expression; the queries of one page are looked at together."""
        checks: dict[str, list[str]] = {entry[which]: [] for entry in _queries()}
        for seed in {entry["seed"] for entry in _queries()}:
            own = [subject(entry, which, n) for n, entry in enumerate(_queries()) if entry["seed"] == seed]
            for finding in lint(own, Facts(stored)):
                checks[finding.expr].append(finding.check)
        return checks

    return run


@pytest.fixture(params=["nothing stored", "stored"])
def facts(request, stored):
    if request.param == "nothing stored":
        return lambda *more: None
    return lambda *more: stored(*STORED, *more)


def test_every_wrong_query_is_found(found, facts):
    checks = found("original", facts())
    wrong = [entry["original"] for entry in _queries() if entry["says_what_it_means"] != "yes"]
    assert len(wrong) == 33
    assert [expr for expr in wrong if not checks[expr]] == []


def test_no_corrected_query_is_blamed(found, facts):
    assert {expr: checks for expr, checks in found("corrected", facts(*ADDED)).items() if checks} == {}


def test_no_query_that_was_right_is_blamed(found, facts):
    checks = found("original", facts())
    right = [entry["original"] for entry in _queries() if entry["says_what_it_means"] == "yes"]
    assert [expr for expr in right if checks[expr]] == []


def test_a_correction_is_not_blamed_for_the_same_again(facts):
    for number, entry in enumerate(_queries()):
        one = subject(entry, "original", number)
        for finding in lint([one], Facts(facts(*ADDED))):
            if finding.corrected:
                again = lint(
                    [subject({**entry, "original": finding.corrected}, "original", number)], Facts(facts(*ADDED))
                )
                assert finding.check not in [each.check for each in again], finding


def test_what_was_only_said_in_words_and_then_written_well_is_not_blamed():
    said = parse_yaml(FILE.read_text(), str(FILE)).tree["said_in_words"] if FILE.exists() else []
    found = [
        (finding.check, finding.expr)
        for entry in said
        for expr in entry["promql"].split(" ; ")
        for finding in lint([Subject(entry["text"], "alert", expr, parse(expr), entry["text"])], Facts())
    ]
    assert found == []
