import pytest

from trackside.sdk.integration_names import MAX_INTEGRATIONS, IntegrationNames


@pytest.fixture
def names():
    names = IntegrationNames()
    names.add("slack", ["hooks.slack.com", "*.slack-edge.com"])
    names.add("gorgias", ["*.gorgias.com"])
    names.add("gorgias-files", ["*.files.gorgias.com"])
    return names


@pytest.mark.parametrize(
    ("host", "name"),
    [
        pytest.param("hooks.slack.com", "slack", id="exactly"),
        pytest.param("HOOKS.Slack.com", "slack", id="in capitals"),
        pytest.param("www.slack.com", "www.slack.com", id="not given"),
        pytest.param("a.slack-edge.com", "slack", id="ending"),
        pytest.param("a.b.gorgias.com", "gorgias", id="ending, deep"),
        pytest.param("gorgias.com", "gorgias", id="the domain itself"),
        pytest.param("notgorgias.com", "notgorgias.com", id="no part of a word"),
        pytest.param("a.files.gorgias.com", "gorgias-files", id="longest ending"),
        pytest.param("", "unknown", id="none"),
    ],
)
def test_names(names, host, name):
    assert names.of_host(host) == name
    assert names.of_host(host) == name


def test_a_name_given_later_holds_from_then_on(names):
    assert names.of_host("api.example.com") == "api.example.com"
    names.add("example", ["api.example.com"])
    assert names.of_host("api.example.com") == "example"


def test_many_hosts_are_few_names_and_little_memory(names):
    found = {names.of_host(f"{number}.example.com") for number in range(5_000)}
    assert len(found) == MAX_INTEGRATIONS + 1
    assert len(names._found) <= 1_000
