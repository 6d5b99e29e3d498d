import json
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.server.status.model import Incident, IncidentState, State, StatusView, Update
from trackside.server.web.status.badge import COLOURS, badge
from trackside.server.web.status.feed import as_json, atom
from trackside.server.web.status.files import files
from trackside.server.web.status.page import Place, status_page

TEXTS = st.text(max_size=80).filter(lambda text: not any("\ud800" <= char <= "\udfff" for char in text))
ATOM = "{http://www.w3.org/2005/Atom}"


def view_with(title, text):
    update = Update(1_000, IncidentState.INVESTIGATING, text)
    incident = Incident(1, title, "major", ("API",), 1_000, None, (update,))
    return StatusView(title, text, "", False, State.DOWN, (), (incident,), (), (), 2_000)


@given(TEXTS, TEXTS)
def test_whatever_people_write_stays_text(title, text):
    view = view_with(title, text)
    feed = ET.fromstring(atom(view, "https://s.example"))
    page = status_page(view, Place("https://s.example")).decode()

    assert len(feed.findall(f"{ATOM}entry")) == 1
    assert "<script>alert" not in page
    assert json.loads(as_json(view))["incidents"][0]["title"] == title


def test_markup_is_not_markup():
    page = status_page(view_with("<script>alert(1)</script>", "<b>x</b>"), Place("https://s.example")).decode()

    assert "<script>alert" not in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page


@given(st.text(max_size=100), st.text(max_size=100), st.sampled_from(State))
def test_a_badge_is_a_picture_whatever_its_name(left, right, state):
    allowed = "".join(
        char for char in left + right if char >= " " and not "\ud800" <= char <= "\udfff" and char not in "\ufffe\uffff"
    )
    root = ET.fromstring(badge(allowed[:40], allowed[40:], state))

    assert root.get("role") == "img"
    assert COLOURS[state] in badge("a", "b", state).decode()


def luminance(colour):
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", COLOURS.values())
def test_white_text_can_be_read_on_every_colour(colour):
    assert 1.05 / (luminance(colour) + 0.05) >= 4.5


def test_every_component_has_its_badges(book):
    found = files(book.view, Place("https://s.example"))

    assert {"badges/api.svg", "badges/api-uptime.svg", "badges/web-application.svg"} <= found.keys()
    assert b"API, 90 days" in found["badges/api-uptime.svg"].made()
    assert b"unknown" not in found["badges/api.svg"].made()
