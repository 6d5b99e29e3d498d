"""The Alertmanager API: what clients send and are answered, on a clock turned by hand."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from trackside.instruments.registry import Registry
from trackside.model.labels import Labels
from trackside.server.alerting.dispatcher import AlertingOptions, AlertingPorts, Dispatcher
from trackside.server.alerting.inhibit_rule import InhibitRule
from trackside.server.alerting.matchers import Syntax, parse_matchers
from trackside.server.alerting.route import Route
from trackside.server.alerting.routing import RoutingConfig
from trackside.server.alerting.time_intervals import Span, TimeInterval
from trackside.server.db.database import Database
from trackside.server.web.api.alertmanager import AlertmanagerApi
from trackside.server.web.api.alertmanager_input import MAX_BODY_BYTES, time_ms

NOW_MS = 1_764_079_335_000
IN_AN_HOUR = "2025-11-25T15:02:15Z"
TEAM_X = Route("team-x", ("alertname",), 0, 1, 1, parse_matchers('team="x"'), False, '{}/{team="x"}', "{}/x")
MUTED = Route("team-m", (), 0, 1, 1, parse_matchers('team="m"'), False, "{}/m", "{}/m", ("always",))
ROOT = Route("default", (), 0, 300_000, 300_000, (), False, "{}", "{}", routes=(TEAM_X, MUTED))
ROUTING = RoutingConfig(
    ROOT,
    ("default", "team-x", "team-m"),
    {"team-x": Labels.of(floor="2")},
    (InhibitRule(parse_matchers('severity="critical"'), parse_matchers('severity="info"'), ("alertname",)),),
    {"always": TimeInterval("always", (Span(),))},
    original="route:\n  receiver: default\n",
)


class Clock:
    ms = NOW_MS

    def now_ms(self) -> int:
        return self.ms

    def monotonic_s(self) -> float:
        return self.ms / 1000


@dataclass
class Api:
    folder: Path
    options: AlertingOptions = field(default_factory=AlertingOptions)
    is_open: bool = False

    def __post_init__(self) -> None:
        self.clock = Clock()
        self.db = Database(self.folder / "trackside.db")
        receivers = dict.fromkeys(ROUTING.receivers, ())
        ports = AlertingPorts(self.db, self.clock, Registry(), "http://monitor")
        self.dispatcher = Dispatcher(ROUTING, receivers, ports, self.options)
        console = SimpleNamespace(clock=self.clock, alerting=lambda: self.dispatcher, started_ms=NOW_MS)
        self.app = Starlette(routes=AlertmanagerApi(console, self.is_open).routes())

    def ask(self, method: str, path: str, **more) -> httpx.Response:
        async def asked() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://t") as client:
                return await client.request(method, "/api/v2" + path, **more)

        return asyncio.run(asked())

    def get(self, path: str, status: int = 200, **params):
        answer = self.ask("GET", path, params=params)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    def push(self, *alerts: dict[str, str], **more) -> httpx.Response:
        return self.ask("POST", "/alerts", json=[{"labels": labels, **more} for labels in alerts])

    def silence(self, *matchers: str, **more) -> httpx.Response:
        found = [matcher.split("=") for matcher in matchers]
        content = {
            "matchers": [{"name": name, "value": value, "isRegex": False} for name, value in found],
            "startsAt": "2025-11-25T14:02:15Z",
            "endsAt": IN_AN_HOUR,
            "createdBy": "me",
            "comment": "why",
            **more,
        }
        return self.ask("POST", "/silences", json={key: value for key, value in content.items() if value is not None})


@pytest.fixture
def new_api(tmp_path):
    made: list[Api] = []

    def make(**more) -> Api:
        made.append(Api(tmp_path, **more))
        return made[-1]

    yield make
    for one in made:
        one.db.close()


@pytest.fixture
def api(new_api):
    return new_api()


def test_an_alert_is_shown_as_it_was_pushed(api):
    api.push({"alertname": "A", "gone": ""}, annotations={"summary": "s"}, generatorURL="http://g", endsAt=IN_AN_HOUR)
    assert api.get("/alerts") == [
        {
            "annotations": {"summary": "s"},
            "endsAt": "2025-11-25T15:02:15.000Z",
            "fingerprint": "d2c6efc389df0927",
            "generatorURL": "http://g",
            "labels": {"alertname": "A"},
            "receivers": [{"name": "default"}],
            "startsAt": "2025-11-25T14:02:15.000Z",
            "status": {"inhibitedBy": [], "mutedBy": [], "silencedBy": [], "state": "active"},
            "updatedAt": "2025-11-25T14:02:15.000Z",
        }
    ]


@pytest.mark.parametrize(
    ("alerts", "status"),
    [
        pytest.param([{"labels": {}}], 400, id="no labels"),
        pytest.param([{"labels": {"a": ""}}], 400, id="only an empty one"),
        pytest.param([{"labels": {"": "a"}}], 400, id="no name"),
        pytest.param([{"annotations": {"a": "b"}}], 422, id="labels missing"),
        pytest.param({"labels": {"a": "b"}}, 400, id="no list"),
        pytest.param([["labels"]], 400, id="no object"),
        pytest.param([{"labels": ["a"]}], 400, id="labels as a list"),
        pytest.param([{"labels": {"a": 1}}], 400, id="a number"),
        pytest.param([{"labels": {"a": "\ud800"}}], 400, id="half a pair"),
        pytest.param([{"labels": {"a": "b"}, "startsAt": "yesterday"}], 400, id="no time"),
        pytest.param([{"labels": {"a": "b"}, "startsAt": "9999-99-99T00:00:00Z"}], 400, id="a time that never comes"),
        pytest.param(
            [{"labels": {"a": "b"}, "startsAt": IN_AN_HOUR, "endsAt": "2025-11-25T14:02:15Z"}], 400, id="backwards"
        ),
        pytest.param([{"labels": {"a": "b"}, "generatorURL": 7}], 400, id="a link that is a number"),
        pytest.param([], 200, id="nothing"),
        pytest.param([{"labels": {"a": "b"}, "startsAt": "0001-01-01T00:00:00Z"}], 200, id="the time that is none"),
        pytest.param([{"labels": {"k8s.pod": "b"}}], 200, id="any UTF-8 as a name"),
    ],
)
def test_alerts_are_checked(api, alerts, status):
    answer = api.ask("POST", "/alerts", content=json.dumps(alerts), headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert len(api.get("/alerts")) == (1 if status == 200 and alerts else 0)


def test_one_bad_alert_does_not_stop_the_others(api):
    answer = api.push({"alertname": "A"}, {})
    assert (answer.status_code, answer.json()) == (400, "at least one label pair required")
    assert len(api.get("/alerts")) == 1


def test_the_classic_mode_refuses_other_names(new_api):
    api = new_api(options=AlertingOptions(syntax=Syntax.CLASSIC))
    assert api.push({"k8s.pod": "b"}).status_code == 400
    assert api.ask("GET", "/alerts", params={"filter": "k8s.pod=b"}).status_code == 400


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"not json", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[]", "text/plain", 415),
        (b"[]", "application/json; charset=utf-8", 200),
        (b" " * (MAX_BODY_BYTES + 1), "application/json", 413),
    ],
    ids=["empty", "text", "nested", "bytes", "of another kind", "with a charset", "huge"],
)
@pytest.mark.parametrize("path", ["/alerts", "/silences"])
def test_hostile_bodies_are_refused(api, path, body, kind, status):
    answer = api.ask("POST", path, content=body, headers={"content-type": kind})
    assert answer.status_code == (400 if status == 200 and path == "/silences" else status)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from([IN_AN_HOUR]),
        lambda inner: st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["labels", "annotations", "startsAt", "endsAt", "matchers", "name", "value", "isRegex", "isEqual", "id",
                 "createdBy", "comment", "recurrence", "times"]
            ),
            inner,
            max_size=6,
        ),
        max_leaves=12,
    )
)  # fmt: skip
def test_whatever_is_sent_is_answered(api, content):
    for path in ("/alerts", "/silences"):
        assert api.ask("POST", path, json=content).status_code in (200, 400, 404, 422)


class TestAlertFilters:
    @pytest.fixture
    def api(self, new_api):
        api = new_api()
        api.push(
            {"alertname": "Active"},
            {"alertname": "Silenced"},
            {"alertname": "Pair", "severity": "critical"},
            {"alertname": "Pair", "severity": "info"},
            {"alertname": "X", "team": "x"},
            {"alertname": "M", "team": "m"},
        )
        assert api.silence("alertname=Silenced").status_code == 200
        return api

    @pytest.mark.parametrize(
        ("params", "names"),
        [
            ({}, "Active M Pair Pair Silenced X"),
            ({"silenced": "false"}, "Active M Pair Pair X"),
            ({"inhibited": "false"}, "Active M Pair Silenced X"),
            ({"active": "false"}, "Pair Silenced"),
            ({"active": "false", "silenced": "false", "inhibited": "false"}, ""),
            ({"receiver": "team-x"}, "X"),
            ({"receiver": "team"}, ""),
            ({"receiver": "team-.*"}, "M X"),
            ({"receiver_matchers": 'floor="2"'}, "X"),
            ({"receiver_matchers": 'name!="team-x"', "silenced": "false"}, "Active M Pair Pair"),
            ({"filter": 'alertname="X"'}, "X"),
            ({"filter": ["severity=~.+", "severity!=info"]}, "Pair"),
            ({"filter": 'nosuch=""'}, "Active M Pair Pair Silenced X"),
        ],
    )
    def test_they_choose(self, api, params, names):
        found = api.get("/alerts", **params)
        assert sorted(alert["labels"]["alertname"] for alert in found) == names.split()
        assert [alert["fingerprint"] for alert in found] == sorted(alert["fingerprint"] for alert in found)

    @pytest.mark.parametrize(
        ("params", "status"),
        [
            ({"filter": "foo"}, 400),
            ({"filter": ""}, 400),
            ({"filter": '{a="b"}'}, 400),
            ({"filter": 'a=~"x("'}, 400),
            ({"filter": ["a=b"] * 101}, 400),
            ({"receiver": "x("}, 400),
            ({"receiver_matchers": 'a=~"("'}, 400),
            ({"silenced": "perhaps"}, 422),
        ],
    )
    @pytest.mark.parametrize("path", ["/alerts", "/alerts/groups"])
    def test_what_makes_no_sense_is_refused(self, api, path, params, status):
        api.get(path, status, **params)

    def test_the_status_says_who_mutes(self, api):
        (inhibited,) = api.get("/alerts", filter="severity=info")
        (source,) = api.get("/alerts", filter="severity=critical")
        assert inhibited["status"]["inhibitedBy"] == [source["fingerprint"]]
        (silenced,) = api.get("/alerts", filter="alertname=Silenced")
        (silence,) = api.get("/silences")
        assert silenced["status"]["silencedBy"] == [silence["id"]]
        assert {silenced["status"]["state"], inhibited["status"]["state"]} == {"suppressed"}

    def test_groups_are_sorted_and_say_what_mutes_them(self, api):
        groups = api.get("/alerts/groups", silenced="false", inhibited="false")
        shown = [(group["receiver"]["name"], group["labels"], len(group["alerts"])) for group in groups]
        assert shown == [("default", {}, 2), ("team-m", {}, 1), ("team-x", {"alertname": "X"}, 1)]
        assert groups[1]["alerts"][0]["status"] == {
            "inhibitedBy": [],
            "mutedBy": ["always"],
            "silencedBy": [],
            "state": "suppressed",
        }
        assert "team-m" not in [group["receiver"]["name"] for group in api.get("/alerts/groups", muted="false")]
        (alert,) = api.get("/alerts", filter="team=m")
        assert alert["status"]["state"] == "active"


class TestSilences:
    def test_one_lives(self, api):
        id = api.silence("a=b", annotations={"ticket": "T-1"}).json()["silenceID"]
        assert api.get(f"/silence/{id}") == {
            "annotations": {"ticket": "T-1"},
            "comment": "why",
            "createdBy": "me",
            "endsAt": "2025-11-25T15:02:15.000Z",
            "id": id,
            "matchers": [{"isEqual": True, "isRegex": False, "name": "a", "value": "b"}],
            "startsAt": "2025-11-25T14:02:15.000Z",
            "status": {"state": "active"},
            "updatedAt": "2025-11-25T14:02:15.000Z",
        }
        assert api.ask("DELETE", f"/silence/{id}").status_code == 200
        assert api.ask("DELETE", f"/silence/{id}").status_code == 200
        assert api.get(f"/silence/{id.upper()}")["status"] == {"state": "expired"}

    def test_it_is_changed_by_its_id(self, api):
        id = api.silence("a=b").json()["silenceID"]
        assert api.silence("a=b", id=id, comment="longer").json()["silenceID"] == id
        assert api.silence("a=c", id=id).json()["silenceID"] != id
        assert [one["status"]["state"] for one in api.get("/silences")] == ["active", "expired"]
        assert len(api.get("/silences", filter="a=b")) == 1

    def test_one_recurs(self, api):
        nights = [{"times": [{"start_time": "02:00", "end_time": "04:00"}]}]
        id = api.silence("a=b", recurrence=nights).json()["silenceID"]
        found = api.get(f"/silence/{id}")
        assert (found["recurrence"], found["status"]) == (nights, {"state": "pending"})

    @pytest.mark.parametrize("isEqual", [True, False])
    @pytest.mark.parametrize("isRegex", [True, False])
    def test_every_kind_of_matcher_comes_back(self, api, isEqual, isRegex):
        matcher = {"name": "a", "value": "b|c", "isRegex": isRegex, "isEqual": isEqual}
        api.silence(matchers=[matcher])
        assert api.get("/silences")[0]["matchers"] == [matcher]

    @pytest.mark.parametrize(
        ("more", "status"),
        [
            pytest.param({"matchers": []}, 422, id="no matchers"),
            pytest.param({"matchers": None}, 422, id="matchers missing"),
            pytest.param({"matchers": {}}, 400, id="matchers as an object"),
            pytest.param({"matchers": [{"name": "a", "isRegex": False}]}, 422, id="no value"),
            pytest.param({"matchers": [{"name": "a", "value": "x(", "isRegex": True}]}, 400, id="no expression"),
            pytest.param({"matchers": [{"name": "a", "value": "x", "isRegex": "no"}]}, 400, id="isRegex as text"),
            pytest.param({"createdBy": None}, 422, id="nobody made it"),
            pytest.param({"comment": None}, 422, id="no comment"),
            pytest.param({"comment": ""}, 200, id="an empty comment"),
            pytest.param({"endsAt": "2025-11-25T13:00:00Z"}, 400, id="backwards"),
            pytest.param({"startsAt": "2025-11-24T00:00:00Z", "endsAt": "2025-11-25T00:00:00Z"}, 400, id="over"),
            pytest.param({"id": "x"}, 422, id="no UUID"),
            pytest.param({"id": "11111111-1111-1111-1111-111111111111"}, 404, id="nobody's id"),
            pytest.param({"recurrence": [{"weekdays": ["funday"]}]}, 400, id="no weekday"),
        ],
    )
    def test_it_is_checked(self, api, more, status):
        assert api.silence("a=b", **more).status_code == status

    def test_sets_of_matchers_are_none_of_the_api_as_in_alertmanager_0_33(self, api):
        """It stores several, and its API neither takes nor shows them: `matchers` alone count."""
        one = {"name": "c", "value": "d", "isRegex": False}
        id = api.silence("a=b", matcherSets=[{"matchers": [one]}]).json()["silenceID"]
        found = api.get(f"/silence/{id}")
        assert [matcher["name"] for matcher in found["matchers"]] == ["a"]
        assert "matcherSets" not in found
        assert api.silence(matchers=None, matcherSets=[{"matchers": [one]}]).status_code == 422

    @pytest.mark.parametrize("method", ["GET", "DELETE"])
    def test_nobodys_id_is_not_found(self, api, method):
        assert api.ask(method, "/silence/00000000-0000-0000-0000-000000000000").status_code == 404
        assert api.ask(method, "/silence/not-a-uuid").status_code == 422

    def test_a_full_disk_is_an_error_and_makes_no_silence(self, api):
        api.db.write(lambda connection: connection.execute("DROP TABLE silence")).result()
        assert api.silence("a=b").status_code == 500
        assert api.get("/silences") == []


def test_the_status_names_the_configuration(api):
    status = api.get("/status")
    assert status["cluster"] == {"name": "", "peers": [], "status": "disabled"}
    assert status["config"] == {"original": ROUTING.original}
    assert status["uptime"] == "2025-11-25T14:02:15.000Z"
    assert set(status["versionInfo"]) == {"branch", "buildDate", "buildUser", "goVersion", "revision", "version"}


def test_receivers_have_their_labels(api):
    expected = [{"name": "default"}, {"name": "team-x", "floor": "2"}, {"name": "team-m"}]
    assert api.get("/receivers") == [{"name": labels["name"], "labels": labels} for labels in expected]
    assert [one["name"] for one in api.get("/receivers", receiver_matchers='floor="2"')] == ["team-x"]


@pytest.mark.parametrize(("is_open", "allowed"), [(True, "*"), (False, None)])
def test_other_sites_may_read_it_only_where_it_is_open(new_api, is_open, allowed):
    api = new_api(is_open=is_open)
    for method in ("GET", "OPTIONS"):
        answer = api.ask(method, "/status", headers={"Origin": "http://elsewhere"})
        assert answer.status_code == 200
        headers = {name.decode(): value.decode() for name, value in answer.headers.raw}
        assert headers.get("Access-Control-Allow-Origin") == allowed
        assert headers["Cache-Control"] == "no-store"


def test_what_there_is_not_is_not_found(api):
    assert api.get("/nothing", 404)["code"] == 404


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1_000),
        ("1970-01-01t01:00:00.123456789+01:00", 123),
        ("0001-01-01T00:00:00Z", None),
        ("1969-12-31T23:59:59.5Z", -500),
    ],
)
def test_times_are_read_as_everybody_writes_them(text, expected):
    assert time_ms(text) == expected


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2025-11-25", "2025-11-25T14:02:15", "2025-13-25T14:02:15Z", "１970-01-01T00:00:01Z"]
)
def test_other_texts_are_no_times(text):
    with pytest.raises(ValueError):
        time_ms(text)
