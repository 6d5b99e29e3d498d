from __future__ import annotations

import gzip
from urllib.parse import quote

import numpy as np
import pytest

from trackside.exceptions import QueryError, QueryLimitError, QueryTimeoutError
from trackside.model.labels import Labels
from trackside.server.series import Matrix, QueryResult

NOW_MS = 1_764_079_335_000
RANGE = "query=up&start=1000&end=2000&step=10"


class TestQuery:
    def test_is_about_now_unless_a_time_is_given(self, site):
        answer = site.get("/api/v1/query?query=up").json()

        assert site.backend.asked == [("query", "up", NOW_MS, None)]
        assert answer == {
            "status": "success",
            "data": {"resultType": "vector", "result": [{"metric": {"__name__": "up"}, "value": [1764079335, "1"]}]},
        }

    def test_at_a_time_and_with_a_timeout(self, site):
        site.get("/api/v1/query?query=up&time=1970-01-01T00:00:01.5Z&timeout=5s")

        assert site.backend.asked == [("query", "up", 1_500, 5_000)]

    def test_asks_by_form_too(self, site):
        site.post("/api/v1/query?time=7", data={"query": "sum by (job) (up + 1)", "time": "5"})

        assert site.backend.asked == [("query", "sum by (job) (up + 1)", 5_000, None)]

    def test_answers_large_results_compressed(self, site):
        labels = tuple(Labels.of(path=f"/{n}") for n in range(300))
        steps = np.arange(0, 100_000, 1_000)
        shape = (len(labels), len(steps))
        matrix = Matrix(labels, steps, np.full(shape, 0.5), np.ones(shape, dtype=bool))
        site.backend.answer = QueryResult(matrix, is_range=True)

        response = site.get(f"/api/v1/query_range?{RANGE}", headers={"accept-encoding": "gzip"})

        assert response.headers["content-encoding"] == "gzip"
        assert len(response.json()["data"]["result"]) == 300
        assert len(gzip.compress(response.content)) < len(response.content)

    def test_a_limit_cuts_the_answer(self, site):
        steps = np.array([NOW_MS])
        labels = tuple(Labels.of(path=f"/{n}") for n in range(3))
        site.backend.answer = QueryResult(
            Matrix(labels, steps, np.ones((3, 1)), np.ones((3, 1), dtype=bool)), is_range=False
        )

        answer = site.get("/api/v1/query?query=up&limit=2").json()

        assert len(answer["data"]["result"]) == 2
        assert answer["warnings"] == ["results truncated due to limit 2"]


class TestQueryRange:
    def test_is_asked_with_all_its_parameters(self, site):
        site.get("/api/v1/query_range?query=up&start=1000&end=2000.5&step=1m&timeout=30")

        assert site.backend.asked == [("query_range", "up", 1_000_000, 2_000_500, 60_000, 30_000)]

    def test_may_be_one_moment(self, site):
        assert site.get("/api/v1/query_range?query=up&start=5&end=5&step=1").status_code == 200

    def test_has_at_most_11_000_points(self, site):
        assert site.get("/api/v1/query_range?query=up&start=0&end=11000&step=1").status_code == 200

        response = site.get("/api/v1/query_range?query=up&start=0&end=11001&step=1")

        assert response.status_code == 400
        assert 'invalid parameter "step": exceeded maximum resolution of 11,000 points' in response.json()["error"]


ODD = [
    pytest.param("/api/v1/query", "query", id="no query"),
    pytest.param("/api/v1/query?query=", "query", id="an empty query"),
    pytest.param("/api/v1/query?query=up&time=NaN", "time", id="time NaN"),
    pytest.param("/api/v1/query?query=up&time=Inf", "time", id="time Inf"),
    pytest.param("/api/v1/query?query=up&time=1e300", "time", id="time 1e300"),
    pytest.param("/api/v1/query?query=up&time=yesterday", "time", id="time in words"),
    pytest.param("/api/v1/query?query=up&time=%ff", "time", id="time in no letters"),
    pytest.param("/api/v1/query?query=%c3%28", "query", id="a query in no letters"),
    pytest.param("/api/v1/query?query=up&timeout=0", "timeout", id="no time to answer"),
    pytest.param("/api/v1/query?query=up&timeout=-5s", "timeout", id="negative time to answer"),
    pytest.param("/api/v1/query?query=up&limit=-1", "limit", id="a negative limit"),
    pytest.param("/api/v1/query?query=up&limit=many", "limit", id="a limit in words"),
    pytest.param("/api/v1/query_range?query=up&start=1&end=2", "step", id="no step"),
    pytest.param("/api/v1/query_range?query=up&start=1&end=2&step=0", "step", id="step zero"),
    pytest.param("/api/v1/query_range?query=up&start=1&end=2&step=-15", "step", id="a negative step"),
    pytest.param("/api/v1/query_range?query=up&start=1&end=2&step=NaN", "step", id="step NaN"),
    pytest.param("/api/v1/query_range?query=up&start=1&end=2&step=1e300", "step", id="step 1e300"),
    pytest.param("/api/v1/query_range?query=up&start=1&end=2&step=1e-300", "step", id="step 1e-300"),
    pytest.param("/api/v1/query_range?query=up&end=2&step=1", "start", id="no start"),
    pytest.param("/api/v1/query_range?query=up&start=1&step=1", "end", id="no end"),
    pytest.param("/api/v1/query_range?query=up&start=2&end=1&step=1", "end", id="an end before the start"),
    pytest.param("/api/v1/query_range?query=up&start=-1e300&end=1&step=1", "start", id="a start before all time"),
    pytest.param("/api/v1/series", "match[]", id="series of nothing in particular"),
    pytest.param("/api/v1/series?match[]=up&start=x", "start", id="series since when"),
    pytest.param("/api/v1/labels?start=2&end=1", "end", id="labels until before"),
    pytest.param("/api/v1/label/job/values?limit=1.5", "limit", id="half a label"),
    pytest.param("/api/v1/label//values", "name", id="a label without a name"),
    pytest.param("/api/v1/format_query", "query", id="nothing to format"),
    pytest.param("/api/v1/parse_query", "query", id="nothing to parse"),
    pytest.param("/api/v1/format_query?query=sum(", "query", id="half a query to format"),
    pytest.param("/api/v1/format_query?query=%20%23", "query", id="a comment to format"),
    pytest.param("/api/v1/parse_query?query=%00", "query", id="a NUL to parse"),
]


@pytest.mark.parametrize(("url", "name"), ODD)
def test_a_parameter_that_makes_no_sense_is_named(site, url, name):
    response = site.get(url)

    assert response.status_code == 400
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert (body["status"], body["errorType"]) == ("error", "bad_data")
    assert body["error"].startswith(f'invalid parameter "{name}": ')
    assert site.backend.asked == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"query=" + b"x" * (10 << 20), "the form is longer than 1,048,576 bytes", id="10 MB"),
        pytest.param(b"query=up&" * 2_000, "the form has more than 1,000 fields", id="2,000 fields"),
    ],
)
def test_a_form_beyond_all_measure_is_refused(site, content, said):
    response = site.post("/api/v1/query", content=content)

    assert response.status_code == 413
    assert response.json()["error"] == said


def test_a_query_as_long_as_a_form_is_refused_fast(site):
    for query in ("(" * 1_000_000, "x" * 1_000_000, "1+" * 500_000, "\u00fc" * 300_000):
        response = site.post("/api/v1/format_query", data={"query": query})
        assert response.status_code in (400, 413, 422)
        assert response.json()["status"] == "error"


class TestErrorsOfQueries:
    def ask(self, site, error, url="/api/v1/query?query=up"):
        site.backend.error = error
        response = site.get(url)
        return response.status_code, response.json()

    def test_say_where_the_text_is_wrong(self, site):
        error = QueryError("unexpected ')'", query="up\n+ )", start=5, end=6)

        assert self.ask(site, error) == (
            400,
            {
                "status": "error",
                "errorType": "bad_data",
                "error": "invalid parameter \"query\": 2:3: unexpected ')'",
                "position": {"start": 5, "end": 6},
            },
        )

    @pytest.mark.parametrize("path", ["series?match[]=up", "labels?match[]=up", "label/job/values?match[]=up"])
    def test_name_the_parameter_that_holds_selectors(self, site, path):
        status, body = self.ask(site, QueryError("bad", query="u p", start=2), f"/api/v1/{path}")

        assert (status, body["error"]) == (400, 'invalid parameter "match[]": 1:3: bad')

    @pytest.mark.parametrize(
        ("error", "status", "kind"),
        [
            pytest.param(QueryError("many-to-many matching not allowed"), 422, "execution", id="in the data"),
            pytest.param(QueryLimitError("more than 50,000,000 samples"), 422, "execution", id="too much"),
            pytest.param(QueryTimeoutError("longer than 30 s"), 503, "timeout", id="too long"),
        ],
    )
    def test_have_the_kinds_that_clients_know(self, site, error, status, kind):
        body = {"status": "error", "errorType": kind, "error": str(error)}

        assert self.ask(site, error) == (status, body)

    def test_that_are_bugs_tell_nothing(self, site):
        status, body = self.ask(site, RuntimeError("secret of the machine room"))

        assert (status, body["errorType"]) == (500, "internal")
        assert "secret" not in str(body)


class TestSeriesAndLabels:
    def test_series_of_several_selectors(self, site):
        site.backend.found = [Labels.of(__name__="up", job="a"), Labels.of(__name__="up", job="b")]

        answer = site.get("/api/v1/series?match[]=up&match[]=down&start=1&end=2").json()

        assert site.backend.asked == [("series", "up", "down", 1_000, 2_000)]
        assert answer["data"] == [{"__name__": "up", "job": "a"}, {"__name__": "up", "job": "b"}]

    def test_names_are_of_all_time_unless_said_otherwise(self, site):
        site.backend.found = ["__name__", "job"]

        assert site.get("/api/v1/labels").json() == {"status": "success", "data": ["__name__", "job"]}
        assert site.backend.asked == [("label_names", 0, NOW_MS)]

    def test_are_cut_at_a_limit(self, site):
        site.backend.found = ["a", "b", "c"]

        assert site.get("/api/v1/labels?limit=2").json() == {
            "status": "success",
            "data": ["a", "b"],
            "warnings": ["results truncated due to limit 2"],
        }
        assert "warnings" not in site.get("/api/v1/labels?limit=3").json()

    @pytest.mark.parametrize(
        ("path", "name"),
        [
            pytest.param("job", "job", id="plain"),
            pytest.param("http.status", "http.status", id="with a dot"),
            pytest.param("U__http_2e_status", "http.status", id="escaped"),
            pytest.param("U__a__b", "a_b", id="an escaped underscore"),
            pytest.param("U___fc_ber", "über", id="an escaped letter"),
            pytest.param("U___1F600_", "😀", id="an escaped face"),
            pytest.param("U___110000_", "_110000_", id="no letter at all"),
            pytest.param("U___d800_", "_d800_", id="half a letter"),
            pytest.param(quote("ü/ä", safe=""), "ü/ä", id="with a slash"),
        ],
    )
    def test_values_of_a_label(self, site, path, name):
        site.backend.found = ["x"]

        assert site.get(f"/api/v1/label/{path}/values?match[]=up").json()["data"] == ["x"]
        assert site.backend.asked == [("label_values", name, "up", 0, NOW_MS)]


def test_a_query_is_formatted(site):
    assert site.get("/api/v1/format_query?query=sum(rate(x[5m]))by(job)").json()["data"] == "sum by (job) (rate(x[5m]))"


def test_a_query_is_parsed(site):
    tree = site.get("/api/v1/parse_query?query=-1").json()["data"]

    assert tree["type"] in ("unaryExpr", "numberLiteral")


class TestWhatIsNotThere:
    def test_is_said_in_json_to_machines(self, site):
        response = site.get("/api/v1/nothing")

        assert response.status_code == 404
        assert response.json() == {"status": "error", "errorType": "not_found", "error": "there is no such path"}

    def test_is_said_on_a_page_to_people(self, site):
        response = site.get("/nothing")

        assert response.status_code == 404
        assert response.headers["content-type"].startswith("text/html")
        assert "There is no such page" in response.text

    def test_a_method_that_a_path_does_not_know(self, site):
        assert site.ask("DELETE", "/api/v1/query").status_code == 405
        assert site.ask("DELETE", "/api/v1/query").json()["status"] == "error"

    def test_a_bug_in_a_page_tells_nothing(self, site):
        for url in ("/broken", "/api/v1/broken"):
            response = site.get(url)
            assert response.status_code == 500
            assert "secret" not in response.text
