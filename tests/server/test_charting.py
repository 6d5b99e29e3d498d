"""What notifications of this server say and show."""

import asyncio
from types import SimpleNamespace

import pytest

from trackside.instruments.registry import Registry
from trackside.model.alerts import Alert, AlertState, Notification
from trackside.model.labels import Labels
from trackside.server.charting import Charting
from trackside.server.clock import VirtualClock
from trackside.server.config import load_config
from trackside.server.db.database import Database
from trackside.server.runbooks.chapters import parse_markdown
from trackside.server.runbooks.shelf import Shelf

TEXT = '{{ template "slack.default.text" . }}'


@pytest.fixture
def charting(tmp_path):
    database = Database(tmp_path / "t.db")
    yield Charting(database, None, VirtualClock(0), Registry(), "http://monitor")
    database.close()


def said(charting, config, name="High", **annotations):
    alert = Alert(Labels.of(alertname=name), Labels.of(annotations), AlertState.FIRING, 1.0, 0, 0)
    notification = Notification("team", "{}", Labels(), (alert,), "http://monitor")
    return charting.templates(config).texts(notification).render(TEXT)


ROUTE = "route: {receiver: team}\nreceivers: [{name: team}]\n"


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        pytest.param(ROUTE, False, id="an alertmanager.yml"),
        pytest.param(f"global: {{resolve_timeout: 1m}}\n{ROUTE}", False, id="with its global section"),
        pytest.param(f"scrape_configs: []\n{ROUTE}", True, id="a trackside.yml"),
        pytest.param(f"rule_files: []\n{ROUTE}", True, id="with rules"),
        pytest.param(f"status_page: {{}}\n{ROUTE}", True, id="with what only we have"),
    ],
)
def test_whose_words_it_says(charting, tmp_path, text, ours):
    (tmp_path / "t.yml").write_text(text)
    found = said(charting, load_config(tmp_path / "t.yml", environment={}), summary="too high")
    assert ("too high" in found) == ours


def test_without_a_file_the_words_are_ours(charting):
    assert "too high" in said(charting, load_config(None, environment={}), summary="too high")


def test_an_alert_with_a_runbook_here_links_to_it(charting):
    config = load_config(None, environment={})
    assert "Runbook" not in said(charting, config)
    rules = [
        SimpleNamespace(name=name, kind=kind, annotations=Labels())
        for name, kind in (("High", "alerting"), ("Low", "alerting"), ("recorded", "recording"))
    ]
    shelf = Shelf.of([parse_markdown("# High\n\nLook.\n\n# recorded\n", "/rules/RUNBOOK.md")])
    charting.learn(shelf, [SimpleNamespace(rules=rules)])
    assert "<http://monitor/alerts/runbooks/High|Runbook>" in said(charting, config)
    assert "Runbook" not in said(charting, config, "Low")
    assert "Runbook" not in said(charting, config, "recorded")


def test_a_runbook_is_found_by_the_running_server(tmp_path):
    from trackside.server.app import App, AppSettings

    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "High.md").write_text("# High\n\nLook.\n")
    (tmp_path / "rules.yml").write_text("groups: [{name: g, rules: [{alert: High, expr: vector(1) > 0}]}]")
    (tmp_path / "t.yml").write_text("rule_files: [rules.yml]")
    config = load_config(tmp_path / "t.yml", environment={})

    async def story():
        server = App(config, AppSettings(tmp_path / "data", "http://monitor"), VirtualClock(0))
        await server.start(on_clock=False)
        try:
            await server.schedule.run_due(0)
            return said(server._charting, config)
        finally:
            await server.stop()

    assert "<http://monitor/alerts/runbooks/High|Runbook>" in asyncio.run(story())
