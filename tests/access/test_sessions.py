from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.server.access.sessions import LIFETIME_MS, MAX_COOKIE_CHARS, Sessions

NOW_MS = 1_764_079_335_000
SESSIONS = Sessions(b"k" * 32)
COOKIE = SESSIONS.sign(7, NOW_MS)
NOTE, _, SIGNATURE = COOKIE.rpartition(".")


def test_a_session_carries_the_id_of_its_key():
    assert SESSIONS.key_id(COOKIE, NOW_MS) == 7


@pytest.mark.parametrize(
    ("after_ms", "expected"),
    [
        pytest.param(LIFETIME_MS - 1, 7, id="to its last millisecond"),
        pytest.param(LIFETIME_MS, None, id="and no further"),
    ],
)
def test_a_session_lasts(after_ms, expected):
    assert SESSIONS.key_id(COOKIE, NOW_MS + after_ms) == expected


@pytest.mark.parametrize(
    "cookie",
    [
        pytest.param("", id="empty"),
        pytest.param(".", id="a dot"),
        pytest.param("..", id="two dots"),
        pytest.param(NOTE, id="without a signature"),
        pytest.param(NOTE + ".", id="with an empty signature"),
        pytest.param("1" + COOKIE[1:], id="of another key"),
        pytest.param(f"7.{NOW_MS + 2 * LIFETIME_MS}.{SIGNATURE}", id="prolonged"),
        pytest.param(f"{NOTE}.{SIGNATURE.upper()}", id="in capitals"),
        pytest.param(COOKIE + "0", id="longer"),
        pytest.param(" " + COOKIE, id="with a space"),
        pytest.param("7.x." + SIGNATURE, id="without a time"),
        pytest.param(Sessions(b"j" * 32).sign(7, NOW_MS), id="signed by somebody else"),
        pytest.param("7" * (MAX_COOKIE_CHARS + 1), id="too long"),
        pytest.param("é." + COOKIE, id="not ASCII"),
        pytest.param("\x00" + COOKIE, id="with a NUL"),
    ],
)
def test_what_is_forged_is_refused(cookie):
    assert SESSIONS.key_id(cookie, NOW_MS) is None


@given(at=st.integers(0, len(COOKIE) - 1), char=st.characters(max_codepoint=0x7F))
def test_any_change_of_a_character_is_noticed(at, char):
    changed = COOKIE[:at] + char + COOKIE[at + 1 :]

    assert (SESSIONS.key_id(changed, NOW_MS) == 7) is (changed == COOKIE)


@given(st.text(max_size=300))
def test_no_text_breaks_it(cookie):
    assert SESSIONS.key_id(cookie, NOW_MS) is None
