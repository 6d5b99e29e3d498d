"""The charts of a notification: what is drawn, in what time, and that no message waits or fails for one."""

import asyncio
import io
import threading
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from trackside.exceptions import QueryError
from trackside.model.labels import Labels
from trackside.server.charts.gallery import Gallery
from trackside.server.charts.picture import png
from trackside.server.db.database import Database
from trackside.server.receivers.illustrations import AT_ONCE, MOST_WAITING, Illustrator, Picture
from trackside.server.receivers.trend import POINTS
from trackside.server.series import Matrix, QueryResult

NOW_MS = 1_700_000_060_000
URL = "https://monitor.example"


class Backend:
    """Answers with a rising line for each of these series."""

    def __init__(self, *labels):
        self.labels = labels
        self.error = None
        self.waits_s = 0.0
        self.asked = 0

    async def query_range(self, expr, start_ms, end_ms, step_ms, timeout_ms=None):
        self.asked += 1
        if self.error is not None:
            raise self.error
        await asyncio.sleep(self.waits_s if self.asked > 1 else 0)
        steps = np.arange(start_ms, end_ms + 1, step_ms)
        values = np.tile(np.arange(len(steps), dtype=float), (len(self.labels), 1))
        return QueryResult(Matrix(self.labels, steps, values, np.ones(values.shape, bool)), is_range=True)


@pytest.fixture
def gallery(tmp_path):
    database = Database(tmp_path / "t.db")
    yield lambda url=URL: Gallery(database, url, lambda: NOW_MS)
    database.close()


@pytest.fixture
def fired(new_alert):
    def make(expr="x > 5", **about):
        return replace(new_alert(**about), generator_url=f"http://m/explore?expr={expr.replace(' ', '+')}")

    return make


def counts(illustrator):
    return {family.name: family.samples[0].value for family in illustrator.families()}


def illustrated(illustrator, message, picture=Picture.ATTACHED):
    return asyncio.run(illustrator.of(message, picture))


def test_a_picture_of_the_first_that_fires(gallery, new_notification, fired):
    over, first, second = fired(job="a", resolved=True), fired(job="b"), fired(job="c")
    backend = Backend(*(Labels.of(__name__="x", job=job) for job in "abc"))
    illustrator = Illustrator(backend, lambda: NOW_MS, gallery())
    shown = illustrated(illustrator, new_notification(over, first, second))
    assert shown.chart.labels == first.labels
    assert shown.chart.alt == "Down: between 0 and 60 in the last 60 minutes, last 60; limit 5; firing since 22:13 UTC"
    assert shown.chart.url == ""
    image = Image.open(io.BytesIO(shown.chart.png))
    assert (image.size, len(image.convert("RGB").getcolors(1 << 20)) > 5) == ((960, 240), True)
    # All of them have their line of text, and one question was enough.
    assert [labels for labels, _ in shown.trends] == [over.labels, first.labels, second.labels]
    assert backend.asked == 1
    assert counts(illustrator) == {"trackside_chart_images_total": 1, "trackside_chart_failures_total": 0}


def test_an_end_has_one_too(gallery, new_notification, fired):
    illustrator = Illustrator(Backend(Labels()), lambda: NOW_MS, gallery())
    shown = illustrated(illustrator, new_notification(fired(resolved=True)))
    assert shown.chart.alt.endswith("fired from 22:13 to 22:13 UTC")


@pytest.mark.parametrize(
    ("picture", "url", "has_picture", "has_address"),
    [
        (Picture.ATTACHED, "http://127.0.0.1:9490", True, False),
        (Picture.ATTACHED, URL, True, False),
        (Picture.LINKED, URL, True, True),
        (Picture.LINKED, "http://127.0.0.1:9490", False, False),
        (Picture.NONE, URL, False, False),
    ],
)
def test_how_it_is_shown(gallery, new_notification, fired, picture, url, has_picture, has_address):
    shown = illustrated(
        Illustrator(Backend(Labels()), lambda: NOW_MS, gallery(url)), new_notification(fired()), picture
    )
    assert (shown.chart is not None) == has_picture
    assert bool(shown.chart and shown.chart.url) == has_address
    assert len(shown.trends) == 1


def test_its_address_leads_to_it_and_says_nothing(gallery, new_notification, fired):
    hall = gallery()
    secret = fired("secret_metric > 5", team="tigers")
    message = new_notification(secret)
    illustrator = Illustrator(Backend(Labels()), lambda: NOW_MS, hall)
    shown, again = (illustrated(illustrator, message, Picture.LINKED).chart for _ in range(2))
    # Another attempt of the same delivery.
    assert shown.url == again.url
    assert illustrated(illustrator, replace(message, delivery_id="x"), Picture.LINKED).chart.url != shown.url
    signed = shown.url.removeprefix(f"{URL}/charts/").removesuffix(".png")
    assert hall.find(hall.checked(signed)) == shown.png
    for word in (b"secret", b"tigers", b"Down", b"shop", b"team"):
        assert word not in shown.url.encode()
        assert word not in shown.png
    # Nor does the picture hold anything but a picture.
    assert set(Image.open(io.BytesIO(shown.png)).info) <= {"transparency"}


@pytest.mark.parametrize("error", [QueryError("no"), OSError("away")])
def test_without_an_answer_there_is_none(gallery, new_notification, fired, error):
    backend = Backend()
    backend.error = error
    shown = illustrated(Illustrator(backend, lambda: NOW_MS, gallery()), new_notification(fired()))
    assert (shown.chart, shown.trends) == (None, ())


def test_an_answer_that_comes_late_is_not_waited_for(gallery, new_notification, fired):
    backend = Backend(Labels())
    backend.waits_s = 60
    illustrator = Illustrator(backend, lambda: NOW_MS, gallery(), patience_s=0.05)
    shown = illustrated(illustrator, new_notification(fired("x > 5", i="1"), fired("y > 5", i="2")))
    # What was there is shown.
    assert (shown.chart, len(shown.trends)) == (None, 1)
    assert counts(illustrator)["trackside_chart_failures_total"] == 1


def test_a_picture_that_takes_long_is_not_waited_for(gallery, new_notification, fired):
    done = threading.Event()
    illustrator = Illustrator(Backend(Labels()), lambda: NOW_MS, gallery(), lambda _: done.wait(60) and b"", 0.05)

    async def story():
        try:
            return await illustrator.of(new_notification(fired()), Picture.ATTACHED)
        finally:
            done.set()

    shown = asyncio.run(story())
    assert (shown.chart, len(shown.trends)) == (None, 1)
    assert counts(illustrator)["trackside_chart_failures_total"] == 1


def test_many_messages_at_once_draw_few_at_a_time(gallery, new_notification, fired):
    lock, drawing, most = threading.Lock(), 0, 0

    def draw(course):
        nonlocal drawing, most
        with lock:
            drawing += 1
            most = max(most, drawing)
        made = png(course)
        with lock:
            drawing -= 1
        return made

    illustrator = Illustrator(Backend(Labels()), lambda: NOW_MS, gallery(), draw, 60)

    async def story():
        message = new_notification(fired())
        return await asyncio.gather(*(illustrator.of(message, Picture.ATTACHED) for _ in range(100)))

    shown = asyncio.run(story())
    assert most <= AT_ONCE
    # In a storm most go with the line of text alone.
    assert all(len(one.trends) == 1 for one in shown)
    drawn = sum(one.chart is not None for one in shown)
    assert MOST_WAITING <= drawn < 100
    assert counts(illustrator) == {
        "trackside_chart_images_total": drawn,
        "trackside_chart_failures_total": 100 - drawn,
    }


@pytest.mark.parametrize("draw", [lambda _: 1 / 0, lambda _: b""], ids=["it breaks", "there is nothing to draw"])
def test_what_cannot_be_drawn_is_left_out(gallery, new_notification, fired, draw):
    shown = illustrated(Illustrator(Backend(Labels()), lambda: NOW_MS, gallery(), draw), new_notification(fired()))
    assert (shown.chart, len(shown.trends)) == (None, 1)


def test_a_disk_that_is_full_keeps_nobody_from_being_told(tmp_path, new_notification, fired):
    database = Database(tmp_path / "t.db")
    illustrator = Illustrator(Backend(Labels()), lambda: NOW_MS, Gallery(database, URL, lambda: NOW_MS))
    database.close()
    shown = illustrated(illustrator, new_notification(fired()), Picture.LINKED)
    assert (shown.chart, len(shown.trends)) == (None, 1)
    assert counts(illustrator)["trackside_chart_failures_total"] == 1


def test_labels_of_any_text_are_not_drawn(gallery, new_notification, fired):
    odd = "\ud800 \x00 <b>&\"'{{ .X }} \u2028 \u202e 🙂" * 50
    backend = Backend(Labels.of(evil=odd))
    shown = illustrated(Illustrator(backend, lambda: NOW_MS, gallery()), new_notification(fired(evil=odd)))
    plain = illustrated(Illustrator(Backend(Labels()), lambda: NOW_MS, gallery()), new_notification(fired()))
    assert shown.chart.png == plain.chart.png


def test_a_series_with_gaps_is_drawn_with_gaps(gallery, new_notification, fired):
    class Gaps(Backend):
        async def query_range(self, expr, start_ms, end_ms, step_ms, timeout_ms=None):
            steps = np.arange(start_ms + 10 * step_ms, end_ms + 1, step_ms)
            values = np.ones((1, len(steps)))
            present = np.ones(values.shape, bool)
            present[0, 3:6] = False
            return QueryResult(Matrix((Labels(),), steps, values, present), is_range=True)

    seen = []
    illustrator = Illustrator(Gaps(Labels()), lambda: NOW_MS, gallery(), lambda course: seen.append(course) or b"")
    illustrated(illustrator, new_notification(fired()))
    missing = np.nonzero(~np.isfinite(seen[0].values))[0]
    assert (len(seen[0].values), list(missing)) == (POINTS, [*range(10), 13, 14, 15])
