import asyncio
import sqlite3
from uuid import uuid4

import httpx
import pytest
from starlette.applications import Starlette

from trackside.server.db.database import Database
from trackside.server.probes.config import UptimeConfig
from trackside.server.probes.heartbeats.allowance import Allowance
from trackside.server.probes.heartbeats.book import Heartbeats
from trackside.server.probes.heartbeats.routes import MAX_NOTE_BYTES, ping_routes
from trackside.server.probes.heartbeats.state import PingKind, Status
from trackside.server.probes.heartbeats.store import KEPT_PINGS
from trackside.wire import exposition

HOUR = 3_600_000


class HandClock:
    def __init__(self):
        self.ms = 1_700_000_000_000

    def now_ms(self):
        return self.ms

    def monotonic_s(self):
        return self.ms / 1000


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def db(tmp_path):
    db = Database(tmp_path / "trackside.db")
    yield db
    db.close()


BACKUP = {"name": "backup", "period": "1d", "grace": "1h"}


@pytest.fixture
def book(db, clock):
    return made(db, clock, BACKUP)


def made(db, clock, *configs):
    book = Heartbeats(db, clock)
    book.apply(UptimeConfig.model_validate({"heartbeats": configs}).heartbeats)
    return book


def asked(book, *requests):
    """The answers to (method, path, keywords); KEY in a path is that of the first heartbeat."""
    app = Starlette(routes=ping_routes(book, lambda request: request.client.host))
    key = book.views()[0].key

    async def scenario():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:
            return [
                await client.request(method, path.replace("KEY", key), **(keywords[0] if keywords else {}))
                for method, path, *keywords in requests
            ]

    return asyncio.run(scenario())


TOLD = [
    ("GET", "/ping/KEY", PingKind.SUCCESS),
    ("HEAD", "/ping/KEY", PingKind.SUCCESS),
    ("POST", "/ping/KEY", PingKind.SUCCESS),
    ("POST", "/ping/KEY/success", PingKind.SUCCESS),
    ("GET", "/ping/KEY/start", PingKind.START),
    ("GET", "/ping/KEY/fail", PingKind.FAIL),
    ("GET", "/ping/KEY/0", PingKind.SUCCESS),
    ("GET", "/ping/KEY/137", PingKind.FAIL),
]


@pytest.mark.parametrize(("method", "path", "kind"), TOLD)
def test_what_is_told(method, path, kind, book):
    run_id = str(uuid4())
    (answer,) = asked(book, (method, f"{path}?rid={run_id}"))

    assert (answer.status_code, answer.text) == (200, "" if method == "HEAD" else "OK\n")
    assert answer.headers["cache-control"] == "no-store"
    (kept,) = book.pings("backup")
    assert (kept.ping.kind, kept.ping.run_id) == (kind, run_id)


REFUSED = [
    ("GET", "/ping/KEYx", 404, "no heartbeat has this key"),
    ("GET", "/ping/%00", 404, "no heartbeat has this key"),
    ("GET", "/ping/%F0%9F%92%A5", 404, "no heartbeat has this key"),
    ("GET", "/ping/KEY/256", 404, "expected /start"),
    ("GET", "/ping/KEY/-1", 404, "expected /start"),
    ("GET", "/ping/KEY/restart", 404, "expected /start"),
    ("GET", "/ping/KEY/start/more", 404, "Not Found"),
    ("GET", f"/ping/KEY?rid={'x' * 101}", 400, "rid: expected at most"),
    ("GET", "/ping/KEY?rid=%0a", 400, "rid: expected at most"),
    ("PUT", "/ping/KEY", 405, "Method Not Allowed"),
]


@pytest.mark.parametrize(("method", "path", "status", "text"), REFUSED)
def test_what_is_refused_changes_nothing(method, path, status, text, book):
    (answer,) = asked(book, (method, path))

    assert answer.status_code == status
    assert answer.text.startswith(text)
    assert book.pings("backup") == []


def test_start_and_success_make_a_duration_and_families(book, clock):
    asked(book, ("GET", "/ping/KEY/start?rid=a"))
    clock.ms += 90_000
    asked(book, ("POST", "/ping/KEY?rid=a", {"content": b"3 files\nok"}))

    text = exposition.render(book.families()).decode()

    assert 'trackside_heartbeat_up{heartbeat="backup"} 1\n' in text
    assert 'trackside_heartbeat_last_duration_seconds{heartbeat="backup"} 90\n' in text
    assert 'trackside_heartbeat_last_success_timestamp_seconds{heartbeat="backup"} 1700000090\n' in text
    assert 'trackside_heartbeat_runs_total{heartbeat="backup",outcome="success"} 1\n' in text
    assert 'trackside_heartbeat_status{heartbeat="backup",status="up"} 1\n' in text
    assert book.views()[0].heartbeat.last_note == "3 files\nok"
    assert exposition.parse(text.encode())


def test_a_missed_heartbeat_is_down(book, clock):
    asked(book, ("GET", "/ping/KEY"))
    clock.ms += 26 * HOUR
    text = exposition.render(book.families()).decode()

    assert 'trackside_heartbeat_up{heartbeat="backup"} 0\n' in text
    assert 'trackside_heartbeat_trouble{heartbeat="backup",trouble="missed"} 1\n' in text


def test_a_body_counts_up_to_a_limit_and_a_ping_whatever_comes_with_it(book):
    huge = b"\xff\0" * 5_000_000
    (answer,) = asked(book, ("POST", "/ping/KEY", {"content": huge}))

    assert answer.status_code == 200
    assert len(book.pings("backup")[0].ping.note) <= MAX_NOTE_BYTES


def test_a_body_that_never_ends_does_not_lose_the_ping(book):
    sent = []

    async def receive():
        # One piece, and then the client is gone.
        sent.append(1)
        return {"type": "http.request", "body": b"x", "more_body": True} if len(sent) == 1 else _gone

    _gone = {"type": "http.disconnect"}
    answers = []

    async def send(message):
        answers.append(message)

    app = Starlette(routes=ping_routes(book, lambda request: "somebody"))
    path = f"/ping/{book.views()[0].key}"
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": [], "http_version": "1.1"}
    asyncio.run(app(scope, receive, send))

    assert answers[0]["status"] == 200
    assert len(book.pings("backup")) == 1


def test_too_many_pings_have_to_wait(db, clock):
    book = made(db, clock, {**BACKUP, "rate_per_minute": 3})
    answers = asked(book, *[("GET", "/ping/KEY")] * 5)

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert answers[3].headers["retry-after"] == "20"
    clock.ms += 20_000
    assert asked(book, ("GET", "/ping/KEY"))[0].status_code == 200


def test_guessing_keys_is_made_slow(book):
    answers = asked(book, *[("GET", f"/ping/guess-{index}") for index in range(12)], ("GET", "/ping/KEY"))

    assert [answer.status_code for answer in answers] == [404] * 10 + [429] * 2 + [200]


def test_what_was_told_survives_a_restart(book, db, clock):
    asked(book, ("GET", "/ping/KEY/start?rid=a"), ("GET", "/ping/KEY/fail"))
    before = book.views()

    again = made(db, clock, BACKUP)

    assert again.views() == before
    assert again.views()[0].now.status is Status.DOWN


def test_never_heard_is_counted_from_when_it_was_first_configured(book, db, clock):
    clock.ms += 26 * HOUR

    assert made(db, clock, BACKUP).views()[0].now.status is Status.DOWN


def test_keys_cannot_be_guessed_and_stay_the_same(book, db, clock, tmp_path):
    keys = [view.key for view in made(db, clock, BACKUP, {**BACKUP, "name": "other"}).views()]
    elsewhere = Database(tmp_path / "other.db")
    there = made(elsewhere, clock, BACKUP).views()[0].key
    elsewhere.close()

    assert keys[0] == book.views()[0].key
    assert len({*keys, there}) == 3
    assert all(len(key) == 32 and key.isascii() for key in keys)


def test_a_key_of_ones_own(db, clock):
    book = made(db, clock, {**BACKUP, "key": "k" * 24})

    assert asked(book, ("GET", f"/ping/{'k' * 24}"))[0].status_code == 200
    with pytest.raises(ValueError, match="the same key"):
        made(db, clock, {**BACKUP, "key": "k" * 24}, {**BACKUP, "name": "other", "key": "k" * 24})


def test_old_pings_are_forgotten(db, clock):
    book = made(db, clock, {**BACKUP, "rate_per_minute": 6_000})
    asked(book, *[("GET", f"/ping/KEY?rid={index}") for index in range(KEPT_PINGS + 5)])

    kept = book.pings("backup", 1_000)
    assert len(kept) == KEPT_PINGS
    assert kept[0].ping.run_id == str(KEPT_PINGS + 4)


def test_a_ping_that_cannot_be_kept_is_not_answered_with_ok(book, db):
    db.write(lambda connection: connection.execute("DROP TABLE heartbeat_ping")).result()

    (answer,) = asked(book, ("GET", "/ping/KEY"))

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert book.views()[0].heartbeat.last_ping_ms is None
    with pytest.raises(sqlite3.Error):
        book.pings("backup")


def test_an_allowance_fills_evenly_and_survives_odd_clocks():
    allowance = Allowance(60)

    assert [allowance.take(0) for _ in range(61)][-2:] == [0, 1_000]
    assert allowance.take(-5_000) > 0
    assert allowance.take(1_000) == 0
    assert [allowance.take(10**12) for _ in range(61)][-2:] == [0, 1_000]
