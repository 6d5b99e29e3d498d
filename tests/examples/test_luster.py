"""The image service does its jobs on any back-end, shows what its team asked for, and is one trace in Sentry."""

import asyncio
import importlib
import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import zlib
from collections import Counter
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import httpx
import psycopg
import pytest
import yaml
from redis import Redis

from trackside.demo.run import Tellers, running_demo

FOLDER = Path(__file__).parents[2] / "examples" / "luster"
ROWS = yaml.safe_load((FOLDER / "expectations.yml").read_text())
RULES = yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"][0]["rules"]
DASHBOARDS = [json.loads(path.read_text()) for path in sorted((FOLDER / "dashboards").glob("*.json"))]
SECONDS = 75


@pytest.fixture(scope="module")
def luster():
    """Makes the system for an environment."""
    sys.path.insert(0, str(FOLDER.parent))
    yield importlib.import_module("luster.system").system
    sys.path.remove(str(FOLDER.parent))


@pytest.fixture
def real_servers(emptied, monkeypatch):
    given = emptied("luster", 7)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return given


class NoTraffic:
    sent: Counter = Counter()

    async def run(self) -> None:
        await asyncio.Event().wait()


@asynccontextmanager
async def started(system, folder):
    """Without traffic and trouble: only what the test asks for happens."""
    services = tuple(
        replace(service, environment={**service.environment, "TROUBLE_FIRST_SECONDS": "1e9"})
        for service in system.services
    )
    quiet = replace(system, services=services, traffic=lambda addresses: NoTraffic())
    async with (
        running_demo(quiet, folder, Tellers(print, print)) as demo,
        httpx.AsyncClient(base_url=f"http://{demo.addresses['api']}", timeout=60) as api,
    ):
        yield demo, api


async def eventually(probe, within_s=60):
    """What `probe` answers, once that is anything."""
    until_s = asyncio.get_running_loop().time() + within_s
    while not (answer := await probe()):
        assert asyncio.get_running_loop().time() < until_s, f"not within {within_s} s"
        await asyncio.sleep(0.2)
    return answer


async def captions(api, number):
    """Once there are so many."""

    async def enough():
        found = [image["caption"] for image in (await api.get("/images?limit=100")).json() if image["caption"]]
        return found if len(found) >= number else None

    return await eventually(enough)


def wish(width=64):
    return {"prompt": "a lighthouse", "width": width, "height": 48}


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("servers", ["no_servers", "real_servers"])
def test_every_metric_query_and_alert_has_data_here_and_in_prometheus(servers, request, checked_run):
    """One test and not many: the system runs for a minute, and tests of one module may be spread over processes."""
    request.getfixturevalue(servers)
    run = checked_run("luster", SECONDS)

    assert run.findings["problems"] == []
    assert run.without_data() == []
    if run.prometheus is None:
        pytest.skip("Debian's package prometheus is not installed: only our own engine was asked")
    assert run.prometheus.without_data(run.queries | run.alerts(ROWS["alerts"])) == []
    assert run.prometheus.complaints() == []


def test_the_rules_are_the_expected_ones_and_lead_to_the_runbook():
    rules = {rule["alert"]: rule["for"] for rule in RULES}
    assert rules == {row["alert"]: row["for"] for row in ROWS["alerts"]}
    for rule, row in zip(RULES, ROWS["alerts"], strict=True):
        assert " ".join(rule["expr"].split()).startswith(" ".join(row["compares"].split()))

    chapters = [line[3:] for line in (FOLDER / "RUNBOOK.md").read_text().splitlines() if line.startswith("## ")]
    anchors = [rule["annotations"]["runbook_url"].partition("#")[2] for rule in RULES]
    assert anchors == [chapter.lower().replace(" ", "-") for chapter in chapters]


def test_the_dashboards_ask_exactly_what_is_expected_to_have_an_answer():
    panels = [panel for dashboard in DASHBOARDS for panel in dashboard["panels"]]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", ())]
    assert sorted(asked) == sorted(row["query"] for row in ROWS["queries"])


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard["uid"])
def test_the_panels_of_a_dashboard_do_not_overlap(dashboard):
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in dashboard["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def counting(labels, first, step):
    return {"series": labels, "values": f"{first}+{step}x60"}


FAILURES = [counting('http_requests_total{status="500"}', 0, 6), counting('http_requests_total{status="200"}', 0, 94)]
FEW_FAILURES = [
    counting('http_requests_total{status="500"}', 0, 4),
    counting('http_requests_total{status="200"}', 0, 96),
]


def durations(within_2_s):
    return [
        counting('http_request_duration_seconds_bucket{le="2.0"}', 0, within_2_s),
        counting("http_request_duration_seconds_count", 0, 100),
    ]


def jobs(failed):
    return [
        counting('jobs_total{status="failed"}', 0, failed),
        counting('jobs_total{status="succeeded"}', 0, 100 - failed),
        counting('jobs_total{status="cancelled"}', 0, 0),
    ]


def promtool_cases():
    succeeded = "job_last_success_timestamp_seconds"
    rows = [
        ("HighErrorRate", "6 % of the requests fail", FAILURES, True),
        ("HighErrorRate", "4 % of the requests fail", FEW_FAILURES, False),
        ("SlowResponses", "6 % take longer", durations(94), True),
        ("SlowResponses", "4 % take longer", durations(96), False),
        ("HighJobFailureRate", "11 % of the jobs fail", jobs(11), True),
        ("HighJobFailureRate", "9 % of the jobs fail", jobs(9), False),
        ("LowSuccessRate", "6 % of the jobs fail", jobs(6), True),
        ("LowSuccessRate", "4 % of the jobs fail", jobs(4), False),
        ("QueueTooLong", "100 jobs wait", [{"series": 'queue_depth{queue="low"}', "values": "100x60"}], True),
        ("QueueTooLong", "99 jobs wait", [{"series": 'queue_depth{queue="low"}', "values": "99x60"}], False),
        ("NoWorkerActivity", "the last success was long ago", [{"series": succeeded, "values": "0x60"}], True),
        ("NoWorkerActivity", "no worker was ever seen", [], True),
        ("NoWorkerActivity", "jobs succeed", [counting(succeeded, 0, 60)], False),
    ]
    return [pytest.param(alert, series, fires, id=f"{alert}: {what}") for alert, what, series, fires in rows]


@pytest.mark.parametrize(("alert", "series", "fires"), promtool_cases())
def test_an_alert_fires_beyond_its_limit_and_not_before(alert, series, fires, tmp_path):
    promtool = shutil.which("promtool")
    if promtool is None:
        assert not os.environ.get("CI"), "install Debian's package prometheus"
        pytest.skip("Debian's package prometheus is not installed")
    # By the number of alerts, not their labels and texts.
    query = {"expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})', "eval_time": "40m"}
    query["exp_samples"] = [{"labels": "{}", "value": 1}] if fires else []
    tests = [{"interval": "1m", "input_series": series, "promql_expr_test": [query]}]
    content = {"rule_files": [str(FOLDER / "rules.yml")], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(content))
    result = subprocess.run([promtool, "test", "rules", tmp_path / "test.yml"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_images_are_real_png_files(luster):
    png = importlib.import_module("luster.png")
    for width, height, drawn in (
        (7, 5, png.drawn("a lighthouse", 7, 5)),
        (4, 3, png.halved(png.drawn("a lighthouse", 7, 5))),
    ):
        assert drawn.startswith(b"\x89PNG\r\n\x1a\n")
        chunks, at = {}, 8
        while at < len(drawn):
            (length,) = struct.unpack(">I", drawn[at : at + 4])
            kind, data = drawn[at + 4 : at + 8], drawn[at + 8 : at + 8 + length]
            assert struct.unpack(">I", drawn[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + data),)
            chunks[kind], at = data, at + 12 + length
        assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
        assert struct.unpack(">IIBBBBB", chunks[b"IHDR"]) == (width, height, 8, 2, 0, 0, 0)
        assert len(zlib.decompress(chunks[b"IDAT"])) == height * (1 + 3 * width)
    with pytest.raises(ValueError, match="no pixels"):
        png.drawn("a lighthouse", 0, 5)


def test_without_redis_the_table_has_all_queues_and_one_source(luster):
    system = luster({}, has_redis_server=False)
    configuration = yaml.safe_load(system.configuration)
    assert [source["name"] for source in configuration["jobs"]["sources"]] == ["table"]
    assert {row["source"] for row in configuration["jobs"]["expect"] if "queue" in row} == {"table"}
    assert [service.name for service in system.services] == ["stand_ins", "api", "db_worker"]
    assert len(configuration["scrape_configs"][0]["static_configs"][0]["targets"]) == 2
    assert "no Redis, so no RQ" in system.parts


def test_a_redis_that_is_given_is_used_and_none_is_started(luster):
    system = luster({"REDIS_URL": "redis://cache:6379/3", "DATABASE_URL": "postgresql://db/app"}, has_redis_server=True)
    rq, table = yaml.safe_load(system.configuration)["jobs"]["sources"]
    assert (rq["url"], table["url"]) == ("redis://cache:6379/3", "postgresql://db/app")
    assert "redis" not in [service.name for service in system.services]


@pytest.mark.timeout(240)
def test_without_redis_the_sql_worker_does_everything(luster, no_servers, tmp_path):
    async def run():
        async with started(luster({}, has_redis_server=False), tmp_path) as (demo, api), demo.client() as server:
            for width in (64, 64, 0):
                assert (await api.post("/images", json=wish(width))).status_code == 202
            assert len(await captions(api, 2)) == 2
            assert (await api.post("/images/1/thumbnails")).json() == {"jobs": 1}
            assert (await api.post("/images/3/thumbnails")).status_code == 404
            assert (await api.post("/exports", json=[1, 2, 3, 99])).json() == {"jobs": 2}
            assert (await api.get("/images/1.png")).content.startswith(b"\x89PNG")
            abandon(tmp_path / "luster.db")

            async def all_over():
                with closing(sqlite3.connect(tmp_path / "luster.db", timeout=60)) as connection:
                    rows = connection.execute("select queue, kind, status, attempts from jobs order by id").fetchall()
                is_over = all(status in ("succeeded", "failed") for _, _, status, _ in rows)
                return rows if is_over and len(rows) == 10 else None

            async def seen():
                health = (await server.get("/admin/health")).json()
                return health if health["database"]["status"] == "up" else None

            rows = await eventually(all_over)
            return rows, await eventually(seen), (await server.get("/admin/rq")).text

    rows, health, page = asyncio.run(run())
    assert (health["database"]["status"], health["redis"]["configured"]) == ("up", False)
    assert "No source is of this kind" in page
    assert Counter((queue, kind, status) for queue, kind, status, _ in rows) == {
        ("images", "render", "succeeded"): 3,
        ("images", "render", "failed"): 1,
        ("high", "caption", "succeeded"): 3,
        ("default", "shrink", "succeeded"): 1,
        ("low", "export", "succeeded"): 2,
    }
    assert [attempts for _, _, status, attempts in rows if status == "failed"] == [2]
    assert [attempts for _, _, status, attempts in rows if status == "succeeded"].count(2) >= 1


def abandon(database):
    """A job whose worker died more than a lease ago, in its first attempt."""
    with closing(sqlite3.connect(database, timeout=60)) as connection:
        connection.execute(
            "insert into jobs (queue, kind, status, payload, attempts, max_attempts, created_at, run_at, started_at,"
            " lease_until, worker, trace) values ('images', 'render', 'processing',"
            """ '{"image_id": 1, "width": 8, "height": 8}', 1, 2, '2026-01-01 00:00:00', '2026-01-01 00:00:00',"""
            " '2026-01-01 00:00:00', '2026-01-01 00:01:00', 'dead', '{}')"
        )
        connection.commit()


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("servers", "caption_job"),
    [
        pytest.param("real_servers", "luster.work.caption", id="RQ has the caption"),
        pytest.param("no_servers", "caption", id="the table has the caption"),
    ],
)
def test_in_sentry_request_worker_and_model_are_one_trace(
    servers, caption_job, request, luster, sentry, tmp_path, monkeypatch
):
    monkeypatch.setenv("SENTRY_TRACES_SAMPLE_RATE", "1.0")
    environ = request.getfixturevalue(servers)

    async def run():
        async with started(luster(environ, has_redis_server=False), tmp_path) as (_, api):
            assert (await api.post("/images", json=wish())).status_code == 202
            assert (await api.post("/images", json=wish(0))).status_code == 202
            await captions(api, 1)

            async def arrived():
                """All that is looked at below: each process sends its own when it comes to it."""
                names = Counter(transaction["transaction"] for transaction in sentry.of("transaction"))
                is_traced = names["/images"] >= 2 and names[caption_job] and names["render"] >= 2
                errors = [one["exception"]["values"][-1]["type"] for one in sentry.of("event")]
                return is_traced and "ValueError" in errors

            await eventually(arrived)

    asyncio.run(run())
    transactions = sentry.of("transaction")
    (caption,) = [one for one in transactions if one["transaction"] == caption_job]
    trace = caption["contexts"]["trace"]["trace_id"]
    ours = {one["transaction"]: one for one in transactions if one["contexts"]["trace"]["trace_id"] == trace}
    assert set(ours) == {"/images", "render", caption_job}
    assert {(one["environment"], one["release"]) for one in ours.values()} == {("production", "1.0.0")}

    # Each begins in a span of the one before.
    def spans(one):
        return {one["contexts"]["trace"]["span_id"], *(span["span_id"] for span in one["spans"])}

    assert ours["render"]["contexts"]["trace"]["parent_span_id"] in spans(ours["/images"])
    assert caption["contexts"]["trace"]["parent_span_id"] in spans(ours["render"])
    (model,) = [span for item in sentry.of("span") for span in item["items"]]
    assert (model["trace_id"], model["name"]) == (trace, "chat gpt-4o-mini")
    assert model["parent_span_id"] in spans(caption)
    assert model["attributes"]["gen_ai.usage.output_tokens"]["value"] > 0
    assert any(span["op"] == "db" for span in ours["/images"]["spans"])

    # An image without pixels is an error of the job, in the trace of the request that asked for it.
    errors = [one for one in sentry.of("event") if one["exception"]["values"][-1]["type"] == "ValueError"]
    traces = {one["contexts"]["trace"]["trace_id"] for one in transactions if one["transaction"] == "/images"}
    assert errors
    assert {one["contexts"]["trace"]["trace_id"] for one in errors} < traces


class Truth:
    """What happened, by the table and by RQ's own keys."""

    def __init__(self, given) -> None:
        with psycopg.connect(given["DATABASE_URL"]) as connection:
            rows = connection.execute(
                "select status, extract(epoch from finished_at - started_at) from jobs where worker <> 'by hand'"
            ).fetchall()
            self.workers = {name for (name,) in connection.execute("select name from workers").fetchall()}
        with closing(Redis.from_url(given["REDIS_URL"], decode_responses=True)) as redis:
            self.waiting = {queue: redis.llen(f"rq:queue:{queue}") for queue in ("high", "default", "low")}
            ended = [
                (status, redis.hmget(f"rq:job:{id}", "started_at", "ended_at"))
                for status, registry in (("succeeded", "finished"), ("failed", "failed"))
                for queue in self.waiting
                for id in redis.zrange(f"rq:{registry}:{queue}", 0, -1)
            ]
            self.workers |= {key.removeprefix("rq:worker:") for key in redis.smembers("rq:workers")}
            # A job that waits to be tried again is neither waiting nor over.
            self.is_settled = not any(
                redis.zcard(f"rq:{kind}:{q}") for kind in ("scheduled", "wip") for q in self.waiting
            )
        self.is_settled &= self.waiting["high"] == self.waiting["default"] == 0
        self.is_settled &= all(status in ("succeeded", "failed") for status, _ in rows)
        self.ended = Counter([*(status for status, _ in rows), *(status for status, _ in ended)])
        durations = [datetime.fromisoformat(end) - datetime.fromisoformat(start) for _, (start, end) in ended]
        seconds = [float(took) for _, took in rows if took is not None] + [took.total_seconds() for took in durations]
        self.mean_s = sum(seconds) / max(1, len(seconds))


async def history(api):
    """Images, captions, thumbnails, and two exports that wait: nobody works on `low`."""
    for width in (64, 64, 0, 64, 0, 64):
        assert (await api.post("/images", json=wish(width))).status_code == 202
    await captions(api, 4)
    for image in (1, 2, 4):
        assert (await api.post(f"/images/{image}/thumbnails")).status_code == 202
    assert (await api.post("/images/1/captions")).status_code == 202
    assert (await api.post("/exports", json=[1, 2])).json() == {"jobs": 2}


def by_hand(given):
    """A job that somebody is working on, and who will not be done with it today."""
    with psycopg.connect(given["DATABASE_URL"]) as connection:
        connection.execute(
            "insert into jobs (queue, kind, status, payload, attempts, max_attempts, created_at, run_at, started_at,"
            " lease_until, worker, trace) values ('images', 'render', 'processing', '{}', 1, 2, now(), now(), now(),"
            " now() + interval '1 hour', 'by hand', '{}')"
        )


@pytest.mark.timeout(240)
def test_the_admin_api_tells_what_the_table_and_redis_tell(luster, real_servers, tmp_path):
    system = luster(real_servers, has_redis_server=False)
    system = replace(system, services=tuple(one for one in system.services if one.name != "rq_low"))

    async def run():
        async with started(system, tmp_path) as (demo, api), demo.client() as server:

            async def ask(path):
                answer = await server.get(f"/admin/{path}")
                assert answer.status_code == 200, (path, answer.status_code, answer.text)
                return answer.json()

            async def all_seen():
                health = (await server.get("/admin/health")).json()
                return health["database"]["status"] == health["redis"]["status"] == "up"

            await eventually(all_seen)
            await history(api)
            by_hand(real_servers)

            async def settled():
                truth, stats = Truth(real_servers), await ask("jobs/stats?hours=24")
                seen = stats["by_status"]
                is_same = seen == {"queued": 2, "processing": 1, "cancelled": 0, **truth.ended}
                return (truth, stats) if truth.is_settled and is_same else None

            truth, stats = await eventually(settled)
            return truth, stats, {path: await ask(path) for path in PATHS}, [await server.get(path) for path in PAGES]

    truth, stats, answers, pages = asyncio.run(run())
    assert truth.ended == {"succeeded": 4 + 5 + 3, "failed": 2}
    assert stats["total"] == 17
    assert stats["success_rate"] == pytest.approx(12 / 14)
    assert stats["average_processing_seconds"] == pytest.approx(truth.mean_s, rel=0.1, abs=0.05)
    assert stats["cost_usd"] > 0

    workers = answers["workers"]
    assert {worker["id"] for worker in workers["workers"]} >= truth.workers
    assert workers["active"] == len(truth.workers) == 3

    metrics = answers["metrics"]
    assert (metrics["queue_depth"], metrics["processing"]) == (2, 1)
    assert metrics["queues"]["rq/low"] == truth.waiting["low"] == 2

    assert [job["kind"] for job in answers["jobs/recent?limit=20&status=processing"]["jobs"]] == ["render"]
    assert {job["kind"] for job in answers["jobs/recent?status=queued"]["jobs"]} == {"luster.work.export"}
    failed = answers["jobs/recent?status=failed"]["jobs"]
    assert [job["error"] for job in failed] == ["ValueError: an image of 0 x 48 has no pixels"] * 2
    assert answers["jobs/recent?limit=3"]["count"] == 3
    assert len(answers["jobs/recent"]["jobs"]) == 17

    for page in pages:
        assert page.status_code == 200
        assert all(queue in page.text for queue in ("high", "default", "low"))
    assert "images" in pages[0].text


PAGES = ("/admin/dashboard", "/admin/rq")
PATHS = (
    "workers",
    "jobs/recent",
    "jobs/recent?limit=3",
    "jobs/recent?limit=20&status=processing",
    "jobs/recent?status=queued",
    "jobs/recent?status=failed",
    "metrics",
)
