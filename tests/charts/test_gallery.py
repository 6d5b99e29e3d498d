"""Pictures that are kept, and who can reach them."""

import asyncio

import pytest

from trackside.server.charts import gallery as module
from trackside.server.charts import store
from trackside.server.charts.gallery import Gallery, is_reachable
from trackside.server.charts.names import LIFETIME_MS
from trackside.server.db.database import Database

URL = "https://monitor.example/t"


class Time:
    ms = 1_700_000_000_000

    def now_ms(self):
        return self.ms


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def open_gallery(tmp_path, time):
    made = []

    def make(url=URL):
        made.append(Database(tmp_path / "t.db"))
        return Gallery(made[-1], url, time.now_ms)

    yield make
    for one in made:
        one.close()


def hang(gallery, key, png):
    url = asyncio.run(gallery.hang(key, png))
    assert url.startswith(f"{URL}/charts/")
    assert url.endswith(".png")
    return url[len(f"{URL}/charts/") : -len(".png")]


def found(gallery, signed):
    name = gallery.checked(signed)
    return None if name is None else gallery.find(name)


def test_what_was_hung_is_found_for_two_weeks(open_gallery, time):
    gallery = open_gallery()
    signed = hang(gallery, "team/1", b"one")
    assert found(gallery, signed) == b"one"
    time.ms += LIFETIME_MS - 1_000
    assert found(gallery, signed) == b"one"
    time.ms += 1_000
    assert found(gallery, signed) is None


def test_it_is_still_there_after_a_restart(open_gallery):
    signed = hang(open_gallery(), "team/1", b"one")
    assert found(open_gallery(), signed) == b"one"


def test_a_second_attempt_takes_the_place_of_the_first(open_gallery):
    gallery = open_gallery()
    first, second = hang(gallery, "team/1", b"one"), hang(gallery, "team/1", b"two")
    assert found(gallery, first) == found(gallery, second) == b"two"
    assert found(gallery, hang(gallery, "team/2", b"three")) == b"three"


def test_old_ones_and_the_oldest_of_many_are_thrown_away(open_gallery, time, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "MOST", 3)
    monkeypatch.setattr(module, "REMEMBERED", 1)
    gallery = open_gallery()
    signed = []
    for number in range(5):
        signed.append(hang(gallery, str(number), b"%d" % number))
        time.ms += 1_000
    assert [found(gallery, one) for one in signed] == [None, None, b"2", b"3", b"4"]
    time.ms += LIFETIME_MS
    hang(gallery, "new", b"new")
    database = Database(tmp_path / "t.db")
    assert [row["png"] for row in database.read(lambda db: db.execute("SELECT png FROM chart_image"))] == [b"new"]
    database.close()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://monitor.example", True),
        ("http://monitor:9490/t", True),
        ("http://192.168.1.5:9490", True),
        ("http://[2001:db8::1]:9490", True),
        ("http://127.0.0.1:9490", False),
        ("http://127.8.8.8", False),
        ("http://[::1]:9490", False),
        ("http://0.0.0.0:9490", False),
        ("http://[::]:9490", False),
        ("http://localhost:9490", False),
        ("http://a.localhost", False),
        ("http://LOCALHOST", False),
        ("http://[broken", False),
        ("", False),
    ],
)
def test_who_can_get_there(url, expected, open_gallery):
    assert is_reachable(url) == expected
    assert open_gallery(url).is_open == expected
