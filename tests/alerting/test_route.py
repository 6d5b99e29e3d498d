"""The tree of routes: who takes an alert, and in which group."""

import pytest

from trackside.exceptions import ConfigError
from trackside.model.labels import Labels
from trackside.server.alerting.config import RootRouteConfig
from trackside.server.alerting.route import route_tree
from trackside.server.schema import Section
from trackside.server.yamlfile import parse_yaml, section_of

TREE = """
  receiver: root
  group_by: [alertname]
  routes:
  - matchers: [team="a"]
    receiver: first
    continue: true
    group_wait: 10s
  - match: {severity: page}
    receiver: second
    group_by: [...]
    routes:
    - match_re: {job: "db|cache"}
      group_interval: 1m
      group_by: []
  - matchers: [team="a"]
    receiver: third
"""


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param({"x": "y"}, ["root"], id="nobody else"),
        pytest.param({"team": "a"}, ["first", "third"], id="continue"),
        pytest.param({"team": "a", "severity": "page"}, ["first", "second"], id="continue, then stop"),
        pytest.param({"severity": "page", "job": "db"}, ["second"], id="inherited receiver"),
    ],
)
def test_matching(read_route, labels, expected):
    assert [route.receiver for route in route_tree(read_route(TREE)).matching(Labels.of(labels))] == expected


def test_what_is_not_said_is_inherited(read_route):
    root = route_tree(read_route(TREE))
    assert (root.group_wait_ms, root.group_interval_ms, root.repeat_interval_ms) == (30_000, 300_000, 14_400_000)
    first, second, _ = root.routes
    assert (first.group_by, first.group_wait_ms) == (("alertname",), 10_000)
    (deep,) = second.routes
    assert (second.group_by, deep.group_by, deep.group_interval_ms) == (None, (), 60_000)


def test_keys_are_alertmanagers_and_ids_are_unique(read_route):
    root = route_tree(read_route(TREE))
    assert [route.key for route in root.routes] == ['{}/{team="a"}', '{}/{severity="page"}', '{}/{team="a"}']
    assert root.routes[1].routes[0].key == '{}/{severity="page"}/{job=~"^(?:db|cache)$"}'
    assert len({route.route_id for route in root.routes}) == 3


def test_time_intervals_are_not_inherited(read_route):
    root = route_tree(
        read_route("""
  receiver: root
  routes:
  - mute_time_intervals: [night]
    active_time_intervals: [day, weekend]
    routes: [{match: {a: b}}]
""")
    )
    (muted,) = root.routes
    assert (muted.mute_time_intervals, muted.active_time_intervals) == (("night",), ("day", "weekend"))
    assert (muted.routes[0].mute_time_intervals, muted.routes[0].active_time_intervals) == ((), ())


def test_groups(read_route):
    root = route_tree(read_route(TREE))
    labels = Labels.of(alertname="A", job="db", severity="page")
    assert root.group_labels(labels) == Labels.of(alertname="A")
    assert root.routes[1].group_labels(labels) == labels
    assert root.routes[1].routes[0].group_labels(labels) == Labels()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("{receiver: r, group_by: ['...', a]}", "must stand alone", id="... with others"),
        pytest.param("{receiver: r, group_by: [a, a]}", "a label stands here twice", id="twice"),
        pytest.param("{receiver: r, group_interval: 0s}", "expected a duration above 0", id="no interval"),
        pytest.param("{receiver: r, repeat_interval: 0s}", "expected a duration above 0", id="no repeat"),
        pytest.param("{receiver: r, routes: [{matchers: ['a~b']}]}", "expected a matcher such as", id="matcher"),
        pytest.param("{receiver: r, routes: [{match_re: {a: '('}}]}", "not a regular expression", id="expression"),
        pytest.param("{receiver: r, routes: [{match: {'a b': c}}]}", "not a label name: 'a b'", id="label name"),
        pytest.param(
            "{receiver: r, mute_time_intervals: [x]}", "the first route is never muted", id="mute at the root"
        ),
        pytest.param("{receiver: r, active_time_intervals: [x]}", "the first route is never muted", id="active there"),
        pytest.param("{receiver: r, gruop_by: [x]}", "did you mean 'group_by'?", id="unknown key"),
        pytest.param("{group_by: [x]}", "must name a receiver", id="no receiver"),
        pytest.param("{receiver: r, matchers: [a=b]}", "has no matchers", id="matchers at the root"),
        pytest.param("{receiver: r, continue: true}", "`continue` means nothing here", id="continue at the root"),
    ],
)
def test_refused(text, expected):
    class File(Section):
        route: RootRouteConfig

    with pytest.raises(ConfigError) as raised:
        section_of(parse_yaml(f"route: {text}", "t.yml"), File)
    assert str(raised.value).startswith("t.yml:1: route")
    assert expected in str(raised.value)
