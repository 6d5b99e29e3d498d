"""Input series as unit tests write them."""

import math
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.exceptions import QueryError
from trackside.model.labels import Labels
from trackside.server.rules.unit_tests.native import NativeHistogram, parse_native
from trackside.server.rules.unit_tests.notation import MAX_VALUES, parse_metric, parse_values
from trackside.server.series import STALE_BITS


def shown(values) -> str:
    def one(value) -> str:
        if value is None:
            return "_"
        if isinstance(value, NativeHistogram):
            return str(value)
        return "stale" if np.float64(value).view(np.uint64) == STALE_BITS else f"{value:g}"

    return " ".join(map(one, values))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("1 2.5 -3 +4 1e3 .5 5.", "1 2.5 -3 4 1000 0.5 5"),
        ("1x2", "1 1 1"),
        ("1+2x3", "1 3 5 7"),
        ("-2+4x3", "-2 2 6 10"),
        ("1-2x4 ", "1 -1 -3 -5 -7"),
        ("0x2", "0 0 0"),
        ("_ _x3 1", "_ _ _ _ 1"),
        ("stale stalex1", "stale stale stale"),
        ("NaN inf -Inf +Inf", "nan inf -inf inf"),
        ("1\n  2\t3", "1 2 3"),
        ("{{}}", "{{}}"),
        ("{{count:2 sum:3 buckets:[2]}}x1 1", "{{count:2 sum:3 buckets:[2]}} {{count:2 sum:3 buckets:[2]}} 1"),
        ("{{count:2 buckets:[2]}}+{{count:1 buckets:[1]}}x1", "{{count:2 buckets:[2]}} {{count:3 buckets:[3]}}"),
        ("{{count:2 buckets:[2]}}-{{count:1 buckets:[1]}}x1", "{{count:2 buckets:[2]}} {{count:1 buckets:[1]}}"),
    ],
)
def test_values(text, expected):
    assert shown(parse_values(text)) == expected


@pytest.mark.parametrize("text", ["1,2", "one", "1+x2", "1x", "x3", "1+2", "_x", "{{count:1", "1 }} 2", "--1", "1x-2"])
def test_what_is_no_value_is_named(text):
    with pytest.raises(QueryError, match="not a value"):
        parse_values(text)


def test_a_mistyped_count_does_not_fill_the_memory():
    with pytest.raises(QueryError, match=f"more than {MAX_VALUES:,} values"):
        parse_values("0x99999999999")


@given(st.text(alphabet="0123456789.+-x_ eInfNastl{}:[]cou\n", max_size=40))
def test_any_text_is_values_or_an_error(text):
    with suppress(QueryError):
        parse_values(text.replace("99", "9"))


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(0, 30))
def test_a_run_is_what_its_definition_says(first, delta, times):
    sign = "+" if delta >= 0 else "-"
    assert parse_values(f"{first}{sign}{abs(delta)}x{times}") == [first + delta * n for n in range(times + 1)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Labels()),
        ("{}", Labels()),
        ("up", Labels.of(__name__="up")),
        ('up{job="a",}', Labels.of(__name__="up", job="a")),
        ('{job="a"}', Labels.of(job="a")),
        ('{"a.b", "c.d"="e"}', Labels.of({"__name__": "a.b", "c.d": "e"})),
        ("a:b:c", Labels.of(__name__="a:b:c")),
    ],
)
def test_metrics(text, expected):
    assert parse_metric(text) == expected


@pytest.mark.parametrize("text", ['up{job=~"a"}', "up{", "up 1", "sum(up)", "{job}", "1"])
def test_what_is_no_metric(text):
    with pytest.raises(QueryError):
        parse_metric(text)


class TestNative:
    def test_every_part_is_read(self):
        text = (
            "{{schema:1 sum:-0.3 count:32.1 z_bucket:7.1 z_bucket_w:0.05 buckets:[5.1 10 7] offset:-3 "
            "n_buckets:[4.1 0 5] n_offset:-5 custom_values:[1 2] counter_reset_hint:gauge}}"
        )
        found = parse_native(text)
        assert found == NativeHistogram(
            1,
            -0.3,
            32.1,
            7.1,
            0.05,
            ((-3, 5.1), (-2, 10.0), (-1, 7.0)),
            ((-5, 4.1), (-3, 5.0)),
            (1.0, 2.0),
            "gauge",
        )
        assert parse_native(str(found)) == found

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            pytest.param("{{count}}", "not a histogram", id="no value"),
            pytest.param("{{count:1 count:2}}", "not a histogram", id="twice"),
            pytest.param("{{cuont:1}}", "not a part of a histogram: 'cuont'", id="unknown part"),
            pytest.param("{{count:x}}", "count of a histogram is no number", id="no number"),
            pytest.param("{{schema:1.5}}", "schema of a histogram is a whole number", id="half a schema"),
            pytest.param("{{buckets:1}}", "buckets of a histogram is a list", id="no list"),
            pytest.param("{{buckets:[1 x]}}", "has what is no number", id="no number in a list"),
            pytest.param("{{counter_reset_hint:never}}", "counter_reset_hint is one of", id="hint"),
            pytest.param("{{offset:1e9 buckets:[1]}}", "at most 100,000", id="far out"),
        ],
    )
    def test_what_is_no_histogram(self, text, reason):
        with pytest.raises(QueryError, match=reason):
            parse_native(text)

    def test_histograms_of_different_shape_cannot_be_added(self):
        with pytest.raises(QueryError, match="cannot be added"):
            parse_native("{{schema:1}}").plus(parse_native("{{schema:2}}"))

    @given(st.lists(st.integers(0, 9), max_size=5), st.lists(st.integers(0, 9), max_size=5), st.integers(-3, 3))
    def test_adding_and_taking_away_gives_what_there_was(self, ours, theirs, offset):
        one = parse_native(f"{{{{count:{sum(ours)} buckets:{str(ours).replace(',', '')} offset:{offset}}}}}")
        other = parse_native(f"{{{{count:{sum(theirs)} buckets:{str(theirs).replace(',', '')}}}}}")
        assert one.plus(other).plus(other.scaled(-1)) == one
        assert one.plus(other).follows(one)
        assert math.isclose(one.plus(other).count, sum(ours) + sum(theirs))
