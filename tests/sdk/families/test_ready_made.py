import subprocess
import sys

from trackside import Monitor

SEEDS = {
    "ai_query_duration_seconds",
    "ai_query_errors_total",
    "ai_tokens_used_total",
    "mcp_tool_calls_total",
    "cache_hits_total",
    "cache_misses_total",
    "cache_hit_rate",
    "customers_loaded_total",
    "churn_predictions_high_risk",
    "customer_ltv",
    "edge_relay_connections",
    "consumer_connections",
    "messages_received_total",
    "messages_processed_total",
    "messages_failed_total",
    "buffer_size",
    "buffer_capacity",
    "active_sessions",
    "sessions_created_total",
    "sessions_ended_total",
    "db_writes_total",
    "db_write_duration_seconds",
    "db_batch_size",
    "pending_writes",
}


async def app(scope, receive, send):
    pass


def use_all(monitor):
    with monitor.ai("claude-sonnet") as call:
        call.tokens(input=1)
    monitor.cache("a").hit()
    monitor.messages.processed("a")
    monitor.buffer("u", capacity=1)
    monitor.sessions.created()
    with monitor.db_write("t", records=1):
        pass
    monitor.connections("edge_relay").opened()
    monitor.connections("consumer").opened()


def families(page):
    return {line.split()[2] for line in page.decode().splitlines() if line.startswith("# TYPE")}


def test_the_page_of_the_applications_own_families_has_them_and_not_ours(monitor):
    monitor.watch(app)
    use_all(monitor)
    own = families(monitor._page.render("", own_only=True)[1])
    assert own >= SEEDS - {
        "mcp_tool_calls_total",
        "customers_loaded_total",
        "churn_predictions_high_risk",
        "customer_ltv",
    }
    assert not [name for name in own if name.startswith(("http_", "process_", "python_", "app_info", "trackside_"))]


def test_nobody_shows_what_it_does_not_use(monitor):
    assert not families(monitor.exposition()) & SEEDS


def test_two_monitors_have_each_their_own():
    first, second = Monitor(environ={}), Monitor(environ={})
    first.cache("a").hit()
    assert first.cache("a") is not second.cache("a")


def test_nothing_is_imported_before_it_is_used():
    program = """
import sys
from trackside import Monitor
Monitor()
print(sorted(name for name in sys.modules if name.startswith(("trackside.sdk.families.", "trackside.sdk.ai"))))
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    made = {name.rpartition(".")[2] for name in eval(found.stdout)}
    assert made == {"nothing", "ready_made"}
