"""A silence that lasts until what it silences is over."""

import asyncio

import pytest

from trackside.model.labels import Labels
from trackside.server.alerting.matchers import parse_matchers
from trackside.server.alerting.silences.register import Silences
from trackside.server.alerting.silences.silence import Silence, SilenceState
from trackside.server.alerting.silences.until_resolved import MARK, fulfilled
from trackside.server.db.database import Database

NOW_MS = 1_764_079_335_000
DOWN = Labels.of(alertname="Down", job="shop")
SLOW = Labels.of(alertname="Slow", job="shop")


def silence(matchers, annotations=MARK, starts_ms=NOW_MS - 1_000):
    return Silence("s", parse_matchers(matchers), starts_ms, NOW_MS + 60_000, "me", "", annotations=annotations)


@pytest.mark.parametrize(
    ("one", "firing", "expected"),
    [
        pytest.param(silence('alertname="Down"'), [DOWN, SLOW], [], id="its alert fires"),
        pytest.param(silence('alertname="Down"'), [SLOW], ["s"], id="another fires"),
        pytest.param(silence('alertname="Down"'), [], ["s"], id="nothing fires"),
        pytest.param(silence('job="shop"'), [SLOW], [], id="one of several is left"),
        pytest.param(silence('alertname="Down"', Labels()), [], [], id="an ordinary one"),
        pytest.param(silence('alertname="Down"', starts_ms=NOW_MS + 1_000), [], [], id="not yet begun"),
    ],
)
def test_it_is_over_when_nothing_that_it_matches_fires(one, firing, expected):
    assert fulfilled([one], firing, NOW_MS) == expected


def test_the_register_ends_it_and_asks_for_what_fires_only_if_there_is_one(tmp_path):
    db = Database(tmp_path / "trackside.db")
    register, asked = Silences(db), []

    def firing():
        asked.append("once")
        return []

    async def story():
        await register.end_fulfilled(firing, NOW_MS)
        draft = Silence("", parse_matchers('alertname="Down"'), NOW_MS, NOW_MS + 60_000, "me", "", annotations=MARK)
        made = await register.put(draft, NOW_MS)
        await register.end_fulfilled(firing, NOW_MS + 1_000)
        return register.get(made.silence_id)

    ended = asyncio.run(story())
    assert asked == ["once"]
    assert ended.state(NOW_MS + 1_000) is SilenceState.EXPIRED
    db.close()
