"""OpenMetrics: what differs from the text format."""

import pytest

from trackside.exceptions import ParseError
from trackside.model.labels import Labels
from trackside.model.metrics import Exemplar, MetricFamily, MetricType, Sample
from trackside.wire import openmetrics


def rendered(family):
    return openmetrics.render([family]).decode()


def test_a_counter_family_goes_without_its_suffix():
    family = MetricFamily("jobs_total", MetricType.COUNTER, "Jobs", (Sample("jobs_total", Labels(), 2.0),))
    assert rendered(family) == "# TYPE jobs counter\n# HELP jobs Jobs\njobs_total 2\n# EOF\n"


def test_a_counter_that_was_named_without_a_suffix_gets_one():
    family = MetricFamily("jobs", MetricType.COUNTER, "", (Sample("jobs", Labels(), 2.0),))
    assert rendered(family) == "# TYPE jobs counter\njobs_total 2\n# EOF\n"


def test_a_unit_is_said_only_where_the_name_ends_in_it():
    assert "# UNIT a_seconds seconds" in rendered(MetricFamily("a_seconds", MetricType.GAUGE, "", (), "seconds"))
    assert "# UNIT" not in rendered(MetricFamily("a", MetricType.GAUGE, "", (), "seconds"))


def test_bounds_are_written_as_floats():
    family = MetricFamily("a", MetricType.HISTOGRAM, "", (Sample("a_bucket", Labels.of(le="1"), 2.0),))
    assert 'a_bucket{le="1.0"} 2' in rendered(family)


def test_times_are_seconds():
    family = MetricFamily(
        "a", MetricType.GAUGE, "", (Sample("a", Labels(), 2.0, 1_500), Sample("a", Labels(), 3.0, -1))
    )
    assert "a 2 1.5\na 3 -0.001\n" in rendered(family)


def test_an_exemplar_that_is_too_long_is_left_out():
    exemplar = Exemplar(Labels.of(trace_id="x" * 200), 1.0)
    family = MetricFamily("a_total", MetricType.COUNTER, "", (Sample("a_total", Labels(), 2.0, None, exemplar),))
    assert "a_total 2\n" in rendered(family)


@pytest.mark.parametrize(
    ("text", "exemplar"),
    [
        pytest.param(' # {trace_id="a"} 0.5 1.25', Exemplar(Labels.of(trace_id="a"), 0.5, 1.25), id="with a time"),
        pytest.param(' # {trace_id="a"} 0.5', Exemplar(Labels.of(trace_id="a"), 0.5), id="without"),
        pytest.param(" # {} 0.5", Exemplar(Labels(), 0.5), id="without labels"),
        pytest.param(' 9.5 # {a="} # {"} 1', Exemplar(Labels.of(a="} # {"), 1.0), id="odd labels"),
    ],
)
def test_exemplars_are_read(text, exemplar):
    body = f'# TYPE a counter\na_total{{b="c"}} 1{text}\n# EOF\n'.encode()
    assert openmetrics.parse(body).families[0].samples[0].exemplar == exemplar


@pytest.mark.parametrize(
    ("body", "line", "reason"),
    [
        pytest.param(b"", 1, "# EOF", id="nothing"),
        pytest.param(b"a 1\n", 1, "# EOF", id="no end"),
        pytest.param(b"a 1\n# EOF\nb 1\n", 3, "# EOF", id="text after the end"),
        pytest.param(b"# EOF\n# EOF\n", 1, "after # EOF", id="two ends"),
        pytest.param(b"a 1\n\nb 1\n# EOF\n", 2, "empty line", id="an empty line"),
        pytest.param(b"# hello\n# EOF\n", 1, "expected # TYPE", id="a comment"),
        pytest.param(b"a 1 nope\n# EOF\n", 1, "seconds", id="no time"),
        pytest.param(b"a 1 1e400\n# EOF\n", 1, "seconds", id="an endless time"),
        pytest.param(b'a 1 # {"x"} 1\n# EOF\n', 1, "labels only", id="an exemplar with a name"),
        pytest.param(b'a 1 # {x="y"} one\n# EOF\n', 1, "exemplar", id="an exemplar without a number"),
        pytest.param(b'a 1 # {x="y"\n# EOF\n', 1, "expected", id="half an exemplar"),
        pytest.param(b"# TYPE a untyped\n# EOF\n", 1, "expected a type", id="a type of the other format"),
    ],
)
def test_what_is_refused_is_named_with_its_line(body, line, reason):
    with pytest.raises(ParseError) as caught:
        openmetrics.parse(body)
    assert reason in str(caught.value)
    assert caught.value.line == line


def test_gauge_histograms_and_statesets_are_known():
    body = b'# TYPE a gaugehistogram\na_gcount 1\n# TYPE b stateset\nb{b="x"} 1\n# EOF'
    assert [(f.name, f.type, len(f.samples)) for f in openmetrics.parse(body).families] == [
        ("a", MetricType.GAUGE_HISTOGRAM, 1),
        ("b", MetricType.STATESET, 1),
    ]
