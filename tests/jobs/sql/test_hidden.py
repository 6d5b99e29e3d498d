"""A search tells nothing of what a page would not show: not by what it finds, nor by where it ends."""

import json

import pytest

from trackside.jobs.sql.finding import MAX_READ
from trackside.jobs.sql.plain import plain
from trackside.model.jobs import JobQuery

TABLE = "CREATE TABLE jobs (id INTEGER PRIMARY KEY, kind varchar(50), status varchar(50), payload text, error text)"
SECRET = "k9-Sesame-77"
ABSENT = "k9-Sesame-78"


@pytest.fixture
def jobs(database, open_source):
    database.run(TABLE)
    mark = "?" if database.dialect.name == "sqlite" else "%s"

    def add(id, payload=None, error=None, kind="mail"):
        text = payload if payload is None or isinstance(payload, str) else json.dumps(payload)
        database.run(
            f"INSERT INTO jobs VALUES ({', '.join([mark] * 5)})",
            (id, kind, "failed" if error else "queued", text, error),
        )

    add.source = open_source(database.url, plain())
    return add


HIDING = [
    pytest.param({"api_key": SECRET}, None, id="under a key"),
    pytest.param({"api_key": ["a", {"b": SECRET}]}, None, id="deep under a key"),
    pytest.param({"body": json.dumps({"password": SECRET})}, None, id="in JSON within JSON"),
    pytest.param(f'{{"password": "{SECRET}", ', None, id="in broken JSON"),
    pytest.param(None, f"OSError: redis://:{SECRET}@cache/0", id="in an address in the error"),
    pytest.param(None, f"Refused: Authorization: Bearer {SECRET}", id="in a header in the error"),
    pytest.param(None, f"Traceback (most recent call last):\n  api_key={SECRET}\nKeyError: 1", id="in a traceback"),
]


@pytest.mark.parametrize(("payload", "error"), HIDING)
def test_what_is_hidden_is_not_found_and_not_told(jobs, payload, error):
    for id in range(1, 4):
        jobs(id, payload, error)

    for limit in (1, 2, 50):
        assert jobs.source.find(JobQuery(text=SECRET[:6]), limit=limit) == jobs.source.find(
            JobQuery(text=ABSENT), limit=limit
        )
    assert [job.id for job in jobs.source.find(JobQuery()).jobs] == ["3", "2", "1"]
    assert SECRET not in repr(jobs.source.find(JobQuery())) + repr(jobs.source.get("2"))


def test_what_is_shown_beside_it_is_found(jobs):
    for id in range(1, 8):
        jobs(id, {"api_key": SECRET, "text": f"see {SECRET}" if id % 3 == 0 else "nothing"})

    first = jobs.source.find(JobQuery(text=SECRET), limit=1)
    second = jobs.source.find(JobQuery(text=SECRET), first.next, limit=1)

    assert [[job.id for job in page.jobs] for page in (first, second)] == [["6"], ["3"]]
    assert not second.next


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("RESIZE", ["4100"], id="the kind"),
        pytest.param("410", ["4100"], id="the id"),
        pytest.param('"size":7', ["2"], id="JSON as it is written tightly"),
        pytest.param('"size": 7', ["2"], id="JSON as it is shown"),
        pytest.param("keyerror: 1", ["1"], id="the error itself"),
    ],
)
def test_a_text_is_found_in(jobs, text, expected):
    jobs(1, error='Traceback (most recent call last):\n  File "a.py", line 3\nKeyError: 1')
    jobs(2, '{"size":7}' if "7" in text and ": 7" not in text else '{"size": 7}')
    jobs(4100, kind="images.resize")

    assert [job.id for job in jobs.source.find(JobQuery(text=text)).jobs] == expected


def test_each_page_goes_through_the_same_number_of_rows(sqlite, open_source):
    """However many of them hold the text where it is hidden."""
    sqlite.run(TABLE)
    sqlite.run(
        "WITH RECURSIVE r(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r WHERE n < ?)"
        " INSERT INTO jobs SELECT n, 'mail', 'queued', '{\"api_key\": \"' || ? || '\"}', NULL FROM r",
        (MAX_READ + 1, SECRET),
    )
    source = open_source(sqlite.url, plain())

    pages = [source.find(JobQuery(text=text)) for text in (SECRET, ABSENT)]
    rest = source.find(JobQuery(text=SECRET), pages[0].next)

    assert pages[0] == pages[1]
    assert not pages[0].jobs and pages[0].next
    assert not rest.jobs and not rest.next
