"""Formatting as Go's fmt does it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.server.gotemplate.printf import sprintf
from trackside.server.gotemplate.values import shown


@pytest.mark.parametrize(
    ("form", "args", "expected"),
    [
        ("%s|%v|%d|%t|%%", ("a", "b", 3, True), "a|b|3|true|%"),
        (
            "%5d|%-5d|%05d|%+d|% d|%x|%X|%#x|%o|%b",
            (42, 42, 42, 42, 42, 255, 255, 255, 8, 5),
            "   42|42   |00042|+42| 42|ff|FF|0xff|10|101",
        ),
        ("%05d|%d|%x", (-42, -1, -255), "-0042|-1|-ff"),
        ("%f|%.2f|%8.3f|%-8.1f|%08.2f|%+.1f", (3.14159,) * 6, "3.141590|3.14|   3.142|3.1     |00003.14|+3.1"),
        ("%.0f|%.f", (2.5, 3.5), "2|4"),
        (
            "%e|%.1e|%E|%g|%.3g|%G",
            (1234.5678, 1234.5678, 1234.5678, 1234.5678, 1234.5678, 1e-7),
            "1.234568e+03|1.2e+03|1.234568E+03|1234.5678|1.23e+03|1E-07",
        ),
        ("%.3g|%.3g|%.10g|%.2g", (100.0, 1000.0, 0.1, 400.0), "100|1e+03|0.1|4e+02"),
        ("%v|%v|%v|%v|%v", (1234567.0, 123456.0, 1e21, 0.0001, 0.00001), "1.234567e+06|123456|1e+21|0.0001|1e-05"),
        (
            "%v|%v|%.1f|%5v|%d",
            (math.inf, -math.inf, math.nan, math.nan, math.inf),
            "+Inf|-Inf|NaN|  NaN|%!d(float64=+Inf)",
        ),
        ("%q|%q|%x|%10s|%-5s|%.2s", ('a"b', 65, "hi", "r", "l", "cut"), '"a\\"b"|\'A\'|6869|         r|l    |cu'),
        ("%c|%U", (233, 233), "é|U+00E9"),
        ("%v|%s|%d", ([1, 2], ["a", "b"], [1, 2]), "[1 2]|[a b]|[1 2]"),
        ("%v|%s", ({"b": 1, "a": "x"}, None), "map[a:x b:1]|%!s(<nil>)"),
        ("%d|%s|%t|%f", ("x", 1, "y", 3), "%!d(string=x)|%!s(int=1)|%!t(string=y)|%!f(int=3)"),
        ("%d %d", (1,), "1 %!d(MISSING)"),
        ("%d", (1, "x", 2.5), "1%!(EXTRA string=x, float64=2.5)"),
        ("100%", (), "100%!(NOVERB)"),
        ("%z|%!", (1, 2), "%!z(int=1)|%!!(int=2)"),
        ("%[2]s %[1]s", ("a", "b"), "b a"),
        ("%[3]d", (1,), "%!d(BADINDEX)"),
        ("%*d|%-*d|%.*f", (5, 1, 4, 2, 1, 2.55), "    1|2   |2.5"),
        ("%99999999d", (1,), "%!(BADWIDTH)1"),
        ("%T %T %T", (1, 1.0, "a"), "int float64 string"),
        ("%#v|%#q", ("a", "b"), '"a"|`b`'),
    ],
)
def test_sprintf(form, args, expected):
    assert sprintf(form, *args) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_shortest_form_reads_back_as_the_same_number(value):
    assert float(shown(value)) == value


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 12))
def test_precision_is_that_of_c(value, precision):
    assert sprintf(f"%.{precision}f", value) == f"{value:.{precision}f}"
    assert sprintf(f"%.{precision}e", value) == f"{value:.{precision}e}"
    assert float(sprintf(f"%.{precision}g", value)) == float(f"{value:.{precision}g}")


@given(
    st.text(max_size=12),
    st.lists(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()), max_size=3),
)
def test_no_format_fails(form, args):
    assert isinstance(sprintf(form, *args), str)
    assert isinstance(sprintf(f"%{form}", *args), str)
