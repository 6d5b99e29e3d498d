"""What is wrong with routes, receivers and templates."""

import pytest

from trackside.server.lint.checks.routing import lint_routing, routed_labels
from trackside.server.lint.facts import Facts
from trackside.server.yamlfile import parse_yaml


def found(text: str, facts: Facts | None = None, files=()) -> list[tuple[str, int, str]]:
    document = parse_yaml(text, "alertmanager.yml")
    return [(each.check, each.line, each.corrected) for each in lint_routing(document, facts or Facts(), files)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("route: {receiver: a, group_interval: 5m, repeat_interval: 4h}", [], id="a multiple"),
        pytest.param(
            "route:\n  receiver: a\n  group_interval: 7m\n  repeat_interval: 1h",
            [("L17", 4, "repeat_interval: 1h3m")],
            id="no multiple",
        ),
        pytest.param(
            "route:\n  receiver: a\n  routes:\n  - group_interval: 9m",
            [("L17", 4, "repeat_interval: 4h3m")],
            id="inherited",
        ),
        pytest.param("route: {receiver: a, group_interval: never}", [], id="no duration"),
    ],
)
def test_l17_repeats_that_are_rounded_up(text, expected):
    assert found(text) == expected


@pytest.mark.parametrize(
    ("routes", "lines"),
    [
        pytest.param(["{matchers: ['a=\"1\"']}", "{matchers: ['a=\"1\"', 'b=\"2\"']}"], [5], id="taken before"),
        pytest.param(["{receiver: a}", "{matchers: ['b=\"2\"']}"], [5], id="after one that takes all"),
        pytest.param(["{match: {a: '1'}, continue: true}", "{match: {a: '1'}}"], [], id="goes on"),
        pytest.param(["{match: {a: '1'}}", "{match: {a: '2'}}"], [], id="others"),
        pytest.param(['{matchers: [\'"a b"="1"\']}', "{matchers: ['c=\"2\"']}"], [], id="a quoted name"),
        pytest.param(["{matchers: ['a=~\"1,2\"']}", "{matchers: ['a=~\"1\"']}"], [], id="a comma in a value"),
        pytest.param(["{match: {a: '1'}, routes: [{match: {a: '2'}}]}"], [4], id="against its parent"),
    ],
)
def test_l18_routes_that_are_never_reached(routes, lines):
    text = "route:\n  receiver: a\n  routes:\n" + "".join(f"  - {route}\n" for route in routes)
    assert [(check, line) for check, line, _ in found(text)] == [("L18", line) for line in lines]


def test_l18_receivers_that_nobody_uses():
    text = "route: {receiver: a}\nreceivers:\n- name: a\n- name: b\n"
    assert found(text) == [("L18", 4, "")]


@pytest.mark.parametrize(
    ("template", "count"),
    [
        ("{{ .Status }}", 0),
        ('{{ template "slack.default.title" . }}', 0),
        ('{{ template "mine" . }}', 0),
        ('{{ template "nobodys" . }}', 1),
        ("{{ .Status ", 1),
        ("{{ nosuch 1 }}", 1),
        ("no template", 0),
    ],
)
def test_l19_templates_that_do_not_compile(template, count):
    text = f"route: {{receiver: a}}\nreceivers:\n- name: a\n  slack_configs:\n  - text: '{template}'\n"
    files = ('{{ define "mine" }}x{{ end }}', "{{ broken")
    assert found(text, files=files) == [("L19", 5, "")] * count


def test_l20_groups_without_end(stored):
    text = "route:\n  receiver: a\n  group_by: [alertname, user_id]\n"
    assert found(text) == [("L20", 3, "group_by: [alertname]")]
    text = text.replace("user_id", "shard")
    assert found(text) == []
    many = stored(*(f'a{{shard="{number}"}}' for number in range(101)))
    assert found(text, Facts(many)) == [("L20", 3, "group_by: [alertname]")]


def test_labels_that_routes_choose_by():
    tree = {
        "route": {"routes": [{"match": {"a": "1"}}, {"matchers": ['b=~"x|y"'], "routes": [{"match_re": {"c": "z"}}]}]}
    }
    assert routed_labels(tree) == {"a", "b", "c"}
    assert routed_labels({}) == routed_labels(None) == routed_labels({"route": []}) == frozenset()


@pytest.mark.parametrize("text", ["", "groups: []", "route: 5", "route: {routes: [5]}", "[]"])
def test_what_has_no_routes_has_no_faults(text):
    assert found(text) == []
