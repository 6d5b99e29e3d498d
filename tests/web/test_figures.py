"""Numbers as people read them, in Python and in the browser alike."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.server.web import figures

FRONTEND = Path(__file__).parents[2] / "frontend"


def plain(text: str) -> str:
    return text.replace("\u202f", " ")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(0.0, "0", id="zero"),
        pytest.param(12.0, "12", id="whole"),
        pytest.param(12.345, "12.3", id="three digits"),
        pytest.param(0.0512, "0.051", id="small"),
        pytest.param(0.00004, "4.0e-05", id="tiny"),
        pytest.param(999.4, "999", id="below a thousand"),
        pytest.param(999.6, "1 k", id="rounds up to the next prefix"),
        pytest.param(1_234_567.0, "1.23 M", id="a million"),
        pytest.param(-1500.0, "-1.5 k", id="negative"),
        pytest.param(math.nan, "NaN", id="not a number"),
        pytest.param(math.inf, "+Inf", id="infinite"),
        pytest.param(None, "–", id="nothing"),
    ],
)
def test_amount(value: float | None, expected: str) -> None:
    assert plain(figures.amount(value)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(0.0, "0 %", id="none"),
        pytest.param(0.041, "4.1 %", id="some"),
        pytest.param(0.0003, "0.03 %", id="few"),
        pytest.param(0.00001, "<0.01 %", id="hardly any"),
        pytest.param(0.914, "91 %", id="most"),
        pytest.param(math.nan, "–", id="a share of nothing"),
    ],
)
def test_share(value: float, expected: str) -> None:
    assert plain(figures.share(value)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(0.0000421, "42.1 µs", id="microseconds"),
        pytest.param(0.0853, "85.3 ms", id="milliseconds"),
        pytest.param(0.9996, "1 s", id="rounds up to a second"),
        pytest.param(2.5, "2.5 s", id="seconds"),
        pytest.param(190.0, "3.17 min", id="minutes"),
        pytest.param(7200.0, "2 h", id="hours"),
        pytest.param(math.inf, "+Inf", id="above the highest bucket"),
    ],
)
def test_seconds(value: float, expected: str) -> None:
    assert plain(figures.seconds(value)) == expected


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        pytest.param(-5, "0 s", id="in the future"),
        pytest.param(59_999, "59 s", id="seconds"),
        pytest.param(183_000, "3 min", id="minutes"),
        pytest.param(47 * 3_600_000, "47 h", id="hours"),
        pytest.param(72 * 3_600_000, "3 days", id="days"),
    ],
)
def test_age(milliseconds: int, expected: str) -> None:
    assert plain(figures.age(milliseconds)) == expected


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_an_exact_number_reads_back_as_itself(value: float) -> None:
    assert float(figures.exact(value)) == value


def test_the_script_of_the_pages_says_the_same() -> None:
    values = [0, 1, 0.5, 12.346, 999.4, 999.6, 1234.5, 0.041, 0.0003, 0.00001, 0.0000421, 0.9996, 99.96, 190, 7200]
    values += [round(1.7**power * 0.0007, 9) for power in range(60)] + [-3.2, -1500]
    program = f"""
        const {{ FORMATS }} = await import({json.dumps((FRONTEND / "src/figures.js").as_uri())});
        const values = {json.dumps(values)};
        const texts = Object.fromEntries(Object.entries(FORMATS).map(([unit, text]) => [unit, values.map(text)]));
        console.log(JSON.stringify(texts));
    """
    done = subprocess.run(
        ["node", "--no-warnings", "--input-type=module", "--eval", program], capture_output=True, text=True, check=True
    )
    theirs = json.loads(done.stdout)
    ours = {unit: [text(float(value)) for value in values] for unit, text in figures.FORMATS.items()}

    assert theirs == ours


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "100 %"),
        (0.99999, "99.99 %"),
        (0.7, "70 %"),
        (0.9995, "99.95 %"),
        (0.0, "0 %"),
        (None, "–"),
        (0.29, "29 %"),
    ],
)
def test_a_share_of_time_is_never_rounded_up(value, text):
    assert figures.availability(value).replace(figures.GAP, " ") == text
