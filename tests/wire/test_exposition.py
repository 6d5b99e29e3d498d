"""The text format: what is written, what is read, what is refused."""

import time

import pytest

from trackside.exceptions import ParseError
from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample
from trackside.wire import exposition


def gauge(name, labels=None, value=1.0, timestamp_ms=None, help=""):
    return MetricFamily(name, MetricType.GAUGE, help, (Sample(name, Labels.of(labels or {}), value, timestamp_ms),))


@pytest.mark.parametrize(
    ("family", "utf8_names", "expected"),
    [
        pytest.param(gauge("up", value=1.0), True, "# TYPE up gauge\nup 1\n", id="no help, no labels"),
        pytest.param(
            gauge("up", {"a": 'q"b\\\n'}, 0.5, 1500, "a\\b\nc"),
            True,
            '# HELP up a\\\\b\\nc\n# TYPE up gauge\nup{a="q\\"b\\\\\\n"} 0.5 1500\n',
            id="escapes and a timestamp",
        ),
        pytest.param(
            gauge("my.metric", {"a.b": "c"}),
            True,
            '# TYPE "my.metric" gauge\n{"my.metric","a.b"="c"} 1\n',
            id="quoted names",
        ),
        pytest.param(
            gauge("my.metric", {"a.b": "c"}),
            False,
            '# TYPE my_metric gauge\nmy_metric{a_b="c"} 1\n',
            id="underscored names",
        ),
        pytest.param(
            MetricFamily("mode", MetricType.STATESET, "", (Sample("mode", Labels.of(mode="on"), 1.0),)),
            True,
            '# TYPE mode gauge\nmode{mode="on"} 1\n',
            id="a type the format does not know",
        ),
        pytest.param(
            MetricFamily(
                "jobs_total",
                MetricType.COUNTER,
                "",
                (Sample("jobs_total", Labels(), 2.0), Sample("jobs_created", Labels(), 9.5)),
            ),
            True,
            "# TYPE jobs_total counter\njobs_total 2\n# TYPE jobs_created gauge\njobs_created 9.5\n",
            id="times of creation are gauges",
        ),
        pytest.param(
            MetricFamily("x", MetricType.UNKNOWN, "", ()), True, "# TYPE x untyped\n", id="a family without samples"
        ),
    ],
)
def test_rendering(family, utf8_names, expected):
    assert exposition.render([family], utf8_names=utf8_names).decode() == expected


def test_nothing_renders_as_nothing():
    assert exposition.render([]) == b""


@pytest.mark.parametrize(
    ("line", "name", "labels", "value", "timestamp_ms"),
    [
        pytest.param("up 1", "up", {}, 1.0, None, id="plain"),
        pytest.param("up{} 1", "up", {}, 1.0, None, id="empty braces"),
        pytest.param('up{a="b",} 1', "up", {"a": "b"}, 1.0, None, id="comma at the end"),
        pytest.param('up { a = "b" , c = "d" } 1', "up", {"a": "b", "c": "d"}, 1.0, None, id="spaces everywhere"),
        pytest.param('up{a="b"}1', "up", {"a": "b"}, 1.0, None, id="no space after the braces"),
        pytest.param("  up\t1  ", "up", {}, 1.0, None, id="tabs and spaces around"),
        pytest.param("up 1 1500", "up", {}, 1.0, 1500, id="timestamp"),
        pytest.param("up 1 -5", "up", {}, 1.0, -5, id="before 1970"),
        pytest.param('up{a="} 1"} 2', "up", {"a": "} 1"}, 2.0, None, id="a brace in a value"),
        pytest.param('up{a="x # {"} 2', "up", {"a": "x # {"}, 2.0, None, id="what looks like an exemplar in a value"),
        pytest.param(r'up{a="\d\\\"\n"} 2', "up", {"a": '\\d\\"\n'}, 2.0, None, id="unknown escapes stay"),
        pytest.param('up{a="\u2028\x85\r"} 2', "up", {"a": "\u2028\x85\r"}, 2.0, None, id="other line ends in a value"),
        pytest.param('{"my.metric"} 1', "my.metric", {}, 1.0, None, id="quoted name"),
        pytest.param('{"my.metric", "a.b"="c"} 1', "my.metric", {"a.b": "c"}, 1.0, None, id="quoted name and label"),
        pytest.param('{a="b","my.metric"} 1', "my.metric", {"a": "b"}, 1.0, None, id="the name may come last"),
        pytest.param('up{a=""} 1', "up", {}, 1.0, None, id="an empty label is none"),
    ],
)
def test_reading_a_sample(line, name, labels, value, timestamp_ms):
    (family,) = exposition.parse(f"{line}\n".encode()).families
    assert family.samples == (Sample(name, Labels.of(labels), value, timestamp_ms),)


@pytest.mark.parametrize(
    ("body", "line", "reason"),
    [
        pytest.param(b"up 1\nup 2", 2, "cut off", id="the last line has no end"),
        pytest.param(b"up\n", 1, "expected a value", id="no value"),
        pytest.param(b"up one\n", 1, "expected a number", id="no number"),
        pytest.param(b"up 1_000\n", 1, "expected a number", id="an underscore in a number"),
        pytest.param(b"up 1\r\n", 1, "expected a number", id="line ends of Windows"),
        pytest.param(b"up 1 1.5\n", 1, "expected a timestamp", id="a fraction of a millisecond"),
        pytest.param(b"up 1 99999999999999999999999\n", 1, "expected a timestamp", id="a time beyond all times"),
        pytest.param(b"up 1 2 3\n", 1, "at most a timestamp", id="more after the timestamp"),
        pytest.param(b'up{a="b} 1\n', 1, "closed by }", id="a quote that never ends"),
        pytest.param(b'up{a="b" 1\n', 1, "closed by }", id="a brace that never ends"),
        pytest.param(b"up{a=b} 1\n", 1, "expected a label", id="a value without quotes"),
        pytest.param(b'up{a="b" c="d"} 1\n', 1, "expected a label", id="no comma"),
        pytest.param(b'up{1a="b"} 1\n', 1, "expected a label", id="a label that begins with a digit"),
        pytest.param(b"up{,} 1\n", 1, "expected a label", id="a comma alone"),
        pytest.param(b'up{a="1",a="2"} 1\n', 1, "twice", id="the same label twice"),
        pytest.param(b'up{__name__="x"} 1\n', 1, "no such label", id="a second name as a label"),
        pytest.param(b'up{"other"} 1\n', 1, "second metric name", id="a second name in quotes"),
        pytest.param(b'{a="b"} 1\n', 1, "expected one metric name", id="no name"),
        pytest.param(b'{"a","b"} 1\n', 1, "expected one metric name", id="two names"),
        pytest.param(b"1up 1\n", 1, "expected a metric name", id="a name that begins with a digit"),
        pytest.param(b'up{a="\xff"} 1\n', 1, "UTF-8", id="no UTF-8 in a label"),
        pytest.param(b"# HELP up \xff\n", 1, "UTF-8", id="no UTF-8 in a help"),
        pytest.param(b"ok 1\nup\0 1\n", 2, "NUL", id="a NUL"),
        pytest.param(b"# TYPE up guage\n", 1, "expected a type", id="a type that is none"),
        pytest.param(b"# TYPE 1up gauge\n", 1, "expected a metric name", id="a type of nothing"),
        pytest.param(b'up 1 # {a="b"} 1\n', 1, "OpenMetrics", id="an exemplar"),
        pytest.param(b"<html><body>hello</body></html>\n", 1, "expected a metric name", id="a web page"),
        pytest.param(b'{"status":"ok"}\n', 1, "expected", id="JSON"),
    ],
)
def test_what_is_refused_is_named_with_its_line(body, line, reason):
    with pytest.raises(ParseError) as caught:
        exposition.parse(body)
    assert reason in str(caught.value)
    assert caught.value.line == line


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'up{a="' + b"\\" * 10_000_000, id="backslashes"),
        pytest.param(b'up{a="' + b"x" * 10_000_000 + b"\n", id="one value without an end"),
        pytest.param(b"up{" + b'a="b",' * 1_000_000 + b"\n", id="labels without an end"),
        pytest.param(b"up{" + b'"' * 3_000_001 + b"} 1\n", id="quotes"),
        pytest.param(b"a" * 10_000_000 + b"\n", id="one name"),
        pytest.param(b"# HELP " + b"a" * 10_000_000 + b"!\n", id="one help"),
        pytest.param(b"up" + b" " * 10_000_000 + b"\n", id="spaces"),
        pytest.param(b"{" * 5_000_000 + b"\n", id="braces"),
        pytest.param(b"up 1 #" + b" #" * 2_000_000 + b"\n", id="hashes"),
        pytest.param(b"up " + b"1" * 5_000_000 + b"x\n", id="digits"),
    ],
)
def test_long_nonsense_is_refused_in_linear_time(body):
    started = time.process_time()
    with pytest.raises(ParseError) as caught:
        exposition.parse(body)
    assert time.process_time() - started < 2
    assert len(str(caught.value)) < 500


def test_a_type_may_come_after_its_samples_and_unknown_comments_are_skipped():
    body = b"# a comment\n#HELP\n\nx_bucket 1\n# TYPE x histogram\nx_count 2\n"
    assert [(f.name, f.type) for f in exposition.parse(body).families] == [
        ("x_bucket", MetricType.UNKNOWN),
        ("x", MetricType.HISTOGRAM),
    ]
