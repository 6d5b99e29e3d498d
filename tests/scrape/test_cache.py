"""From a page to series ids and values, along the short way and the long one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trackside.exceptions import LimitError, ParseError
from trackside.model.labels import Labels
from trackside.server.scrape.cache import DROPPED, SeriesCache
from trackside.server.scrape.config import ScrapeConfig
from trackside.server.scrape.labeling import Labeling
from trackside.wire import exposition, openmetrics
from trackside.wire.lines import Dialect

SHOP = Labels.of(job="shop", instance="a:1")


class Reader:
    """A cache with the store's part done."""

    def __init__(self, target=SHOP, **keys):
        self.cache = SeriesCache(Labeling(ScrapeConfig.model_validate({"job_name": "shop", **keys}), target))
        self.ids = {}

    def samples(self, body, dialect=Dialect.TEXT):
        reading = self.cache.read(body.encode() if isinstance(body, str) else body, dialect)
        self.cache.learn(
            {
                key: DROPPED if labels is None else self.ids.setdefault(labels, len(self.ids))
                for key, labels in reading.new.items()
            }
        )
        return self.cache.samples(reading)

    def stored(self, body, dialect=Dialect.TEXT):
        samples = self.samples(body, dialect)
        names = {ref: labels for labels, ref in self.ids.items()}
        return {str(names[r]): v for r, v in zip(samples.refs.tolist(), samples.values.tolist(), strict=True)}


def test_target_labels_are_added():
    assert Reader().stored('up{a="b"} 1\n') == {'up{a="b", instance="a:1", job="shop"}': 1.0}


@pytest.mark.parametrize(
    ("keys", "line", "expected"),
    [
        pytest.param({}, 'x{job="own"} 1', 'x{exported_job="own", job="shop"}', id="what is hidden is exported"),
        pytest.param(
            {},
            'x{job="a",exported_job="b"} 1',
            'x{exported_exported_job="a", exported_job="b", job="shop"}',
            id="until the name is free",
        ),
        pytest.param({}, 'x{job=""} 1', 'x{job="shop"}', id="an empty label hides nothing"),
        pytest.param({"honor_labels": True}, 'x{job="own"} 1', 'x{job="own"}', id="honored"),
        pytest.param({"honor_labels": True}, "x 1", 'x{job="shop"}', id="honored and absent"),
        pytest.param({"honor_labels": True}, 'x{job=""} 1', "x", id="honored and empty: no such label at all"),
        pytest.param(
            {
                "metric_relabel_configs": [
                    {"source_labels": ["__name__"], "target_label": "__name__", "replacement": "y"}
                ]
            },
            "x 1",
            'y{job="shop"}',
            id="relabeling renames",
        ),
    ],
)
def test_labels_of_the_target_and_of_the_page(keys, line, expected):
    assert list(Reader(Labels.of(job="shop"), **keys).stored(line + "\n")) == [expected]


def test_bounds_are_one_series_in_every_spelling_but_only_where_they_are_bounds():
    reader = Reader(Labels())
    page = (
        '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="1e6"} 2\n'
        '# TYPE s summary\ns{quantile="0.50"} 3\ng{le="1"} 4\n'
    )
    assert reader.stored(page) == {
        'h_bucket{le="1.0"}': 1,
        'h_bucket{le="1e+06"}': 2,
        's{quantile="0.5"}': 3,
        'g{le="1"}': 4,
    }


def test_dropped_series_are_counted_and_not_stored():
    reader = Reader(metric_relabel_configs=[{"action": "drop", "source_labels": ["__name__"], "regex": "go_.*"}])
    for _ in range(3):
        samples = reader.samples("go_a 1\nup 2\ngo_b 3\n")
        assert (samples.scraped, samples.kept, samples.values.tolist()) == (3, 1, [2.0])


def test_of_a_series_that_is_there_twice_the_first_counts():
    reader = Reader(metric_relabel_configs=[{"action": "labeldrop", "regex": "pod"}])
    for _ in range(2):
        samples = reader.samples('a{pod="1"} 1\na{pod="2"} 2\nb 3\nb 4\n')
        assert (samples.values.tolist(), samples.kept, samples.duplicates) == ([1.0, 3.0], 4, 2)


def test_a_page_with_other_numbers_goes_the_short_way():
    reader = Reader()
    assert not reader.samples("a 1\n# a comment\nb 2\n").same_series
    again = reader.samples("a 10\n# a comment\nb 2\n")
    assert (again.same_series, again.values.tolist()) == (True, [10.0, 2.0])


@pytest.mark.parametrize(
    ("page", "values"),
    [
        pytest.param("a 1\nc 2\n", [1, 2], id="another series in the place of one"),
        pytest.param("a 1\n", [1], id="one fewer"),
        pytest.param("a 1\nb 2\nc 3\n", [1, 2, 3], id="one more"),
        pytest.param("b 1\na 2\n", [1, 2], id="another order"),
        pytest.param("a 1\n# b\n", [1], id="a comment in its place"),
        pytest.param("a 1\nb  2\n", [1, 2], id="more spaces"),
        pytest.param("a 1\nb\t2\n", [1, 2], id="a tab"),
        pytest.param("a 1\nbb 2\n", [1, 2], id="a longer name"),
    ],
)
def test_a_page_of_another_layout_is_read_in_full(page, values):
    reader = Reader()
    reader.samples("a 0\nb 0\n")
    assert reader.samples(page).values.tolist() == values


@pytest.mark.parametrize("number", ["1_0", "x", "", "1 x", "1\0", "0x1"])
@pytest.mark.parametrize("seen_before", [True, False], ids=["short way", "long way"])
def test_a_number_that_is_none_is_refused_wherever_it_stands(number, seen_before):
    reader = Reader()
    if seen_before:
        reader.samples("a 1\nb 2\n")
    with pytest.raises(ParseError, match="line 2"):
        reader.samples(f"a 1\nb {number}\n")
    assert reader.samples("a 5\nb 6\n").values.tolist() == [5.0, 6.0]


def test_a_line_that_is_a_number_is_no_sample_of_the_series_before():
    reader = Reader()
    reader.samples("a 1\nb 2\n")
    with pytest.raises(ParseError, match="line 2"):
        reader.samples("a 1\nNaN\n")


def test_exemplars_do_not_leave_the_short_way():
    reader = Reader()
    page = '# TYPE a counter\na_total 1 # {{trace_id="{}"}} 0.5\nb {}\n# EOF\n'
    reader.samples(page.format("x", 1), Dialect.OPENMETRICS)
    again = reader.samples(page.format("y", 2).replace("a_total 1", "a_total 7"), Dialect.OPENMETRICS)
    assert (again.same_series, again.values.tolist()) == (True, [7.0, 2.0])


def test_samples_with_a_time_are_apart():
    reader = Reader(Labels())
    samples = reader.samples("a 1 1500\nb 2\na 3 2500\n")
    assert [(str(s.labels), s.times_ms.tolist(), s.values.tolist()) for s in samples.timed] == [
        ("a", [1500], [1.0]),
        ("a", [2500], [3.0]),
    ]
    assert (samples.values.tolist(), samples.kept, samples.duplicates, len(samples.timed_refs)) == ([2.0], 3, 0, 1)
    assert len(reader.samples("a 1 1600\nb 2\na 3\n").timed) == 1


def test_times_are_ignored_where_they_are_not_honored():
    reader = Reader(honor_timestamps=False)
    for _ in range(2):
        samples = reader.samples("a 1 1500\nb 2\n")
        assert (samples.timed, samples.values.tolist()) == ((), [1.0, 2.0])


def test_a_dropped_series_with_a_time_stays_dropped():
    reader = Reader(metric_relabel_configs=[{"action": "drop", "source_labels": ["__name__"], "regex": "a"}])
    for _ in range(2):
        samples = reader.samples("a 1 1500\nb 2\n")
        assert (samples.timed, samples.kept) == ((), 1)


@pytest.mark.parametrize(
    ("keys", "line", "error", "reason"),
    [
        pytest.param(
            {"label_limit": 3}, 'a{b="c"} 1', LimitError, "4 labels are more than label_limit = 3", id="labels"
        ),
        pytest.param({"label_name_length_limit": 9}, 'a{bcdefghijk="l"} 1', LimitError, "label_name", id="name"),
        pytest.param({"label_value_length_limit": 9}, 'a{b="cdefghijkl"} 1', LimitError, "label_value", id="value"),
        pytest.param({"metric_name_validation_scheme": "legacy"}, '{"a.b"} 1', ParseError, "legacy", id="new name"),
        pytest.param(
            {"metric_name_validation_scheme": "legacy"}, 'a{"b.c"="d"} 1', ParseError, "legacy", id="new label"
        ),
        pytest.param(
            {"metric_relabel_configs": [{"action": "labeldrop", "regex": "__name__"}]},
            "a 1",
            ParseError,
            "without a name",
            id="relabeling takes the name away",
        ),
    ],
)
def test_limits_refuse_the_page_and_name_the_line(keys, line, error, reason):
    with pytest.raises(error) as caught:
        Reader(**keys).samples(f"ok 1\n{line}\n".replace("ok 1", "# ok"))
    assert reason in str(caught.value)
    assert "line 2" in str(caught.value)


def test_what_vanished_is_forgotten_once_it_is_most_of_the_cache():
    reader = Reader()
    for generation in range(20):
        reader.samples("".join(f'a{{b="{generation}-{index}"}} 1\n' for index in range(500)))
    assert len(reader.cache._refs) <= 2_500
    assert reader.samples('a{b="19-0"} 1\n').values.tolist() == [1.0]


def test_what_relabeling_drops_is_forgotten_too():
    reader = Reader(metric_relabel_configs=[{"action": "drop", "source_labels": ["__name__"], "regex": "a"}])
    for generation in range(20):
        reader.samples("".join(f'a{{b="{generation}-{index}"}} 1\n' for index in range(500)))
    assert len(reader.cache._refs) <= 2_500


def test_long_comments_are_not_kept():
    reader = Reader()
    for generation in range(5):
        reader.samples(f"# HELP a {generation}{'x' * 100_000}\na 1\n")
    assert reader.cache._comments == {}
    assert len(reader.cache.described()["a"][1]) == 1_000


def test_families_are_described():
    reader = Reader()
    reader.samples("# HELP a Jobs\n# TYPE a counter\na 1\n")
    assert reader.cache.described() == {"a": ("counter", "Jobs", "")}
    reader.samples("# TYPE b_seconds gauge\n# UNIT b_seconds seconds\nb_seconds 1\n# EOF\n", Dialect.OPENMETRICS)
    assert reader.cache.described() == {"b_seconds": ("gauge", "", "seconds")}


LINES = st.lists(
    st.tuples(
        st.sampled_from(["a", 'a{b="c"}', 'a{b="c d"}', 'b{e="} 1"}', '{"x.y"}']),
        st.sampled_from([" ", "  "]),
        st.sampled_from(["1", "2.5", "+Inf", "-0", "1e9"]),
        st.sampled_from(["", "", "", ' # {t="1"} 2', " 5"]),
    ),
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=5))
def test_the_cache_agrees_with_the_plain_parser(pages):
    """The definition: parse everything, first of each series counts, samples with times are apart."""
    reader = Reader(Labels())
    for lines in pages:
        body = "".join(series + space + number + more + "\n" for series, space, number, more in lines) + "# EOF\n"
        plain, timed = {}, []
        for sample in openmetrics.parse(body.encode()).families:
            for each in sample.samples:
                labels = str(Labels.of({**each.labels.as_dict(), "__name__": each.name}))
                if each.timestamp_ms is None:
                    plain.setdefault(labels, each.value)
                else:
                    timed.append((labels, each.timestamp_ms, each.value))
        samples = reader.samples(body, Dialect.OPENMETRICS)
        names = {ref: str(labels) for labels, ref in reader.ids.items()}
        assert dict(zip((names[r] for r in samples.refs.tolist()), samples.values.tolist(), strict=True)) == plain
        found = [(str(s.labels), int(s.times_ms[0]), float(s.values[0])) for s in samples.timed]
        assert sorted(found) == sorted(timed)
        assert samples.scraped == len(lines)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.booleans())
def test_arbitrary_bytes_never_break_the_cache(body, whole):
    reader = Reader()
    reader.samples("a 1\nb 2\n")
    page = body + b"\n" if whole else body
    try:
        expected = sum(len(family.samples) for family in exposition.parse(page).families)
    except ParseError:
        with pytest.raises(ParseError):
            reader.samples(page)
    else:
        assert reader.samples(page).scraped == expected
    assert np.array_equal(reader.samples("a 3\nb 4\n").values, [3.0, 4.0])
