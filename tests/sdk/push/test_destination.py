import pytest

from trackside.sdk.push.destination import Destination, destinations
from trackside.sdk.settings import Settings


@pytest.mark.parametrize(
    ("arguments", "url", "authorization"),
    [
        pytest.param(("http://p:9090/write",), "http://p:9090/write", None, id="open"),
        pytest.param(("https://p/w", "ann", "secret"), "https://p/w", "Basic YW5uOnNlY3JldA==", id="name and password"),
        pytest.param(("https://p/w", "", "secret"), "https://p/w", "Bearer secret", id="a password alone"),
        pytest.param(("https://ann:secret@p:1/w?x=1",), "https://p:1/w?x=1", "Basic YW5uOnNlY3JldA==", id="in the URL"),
        pytest.param(("https://ann:no@p/w", "", "secret"), "https://p/w", "Basic YW5uOnNlY3JldA==", id="some of both"),
    ],
)
def test_credentials_are_a_header(arguments, url, authorization):
    destination = Destination.of("x", *arguments)
    assert destination.url == url
    assert destination.headers.get("Authorization") == authorization
    assert "secret" not in repr(destination)


@pytest.mark.parametrize("url", ["", "prometheus:9090", "ftp://host/x", "http://", "/api/v1/write"])
def test_what_is_no_url_is_refused(url):
    with pytest.raises(ValueError, match="expected an address such as"):
        Destination.of("x", url)


def test_the_environment_names_destinations():
    settings = Settings.from_environment(
        {
            "PROMETHEUS_REMOTE_WRITE_URL": "https://grafana/api/prom/push",
            "PROMETHEUS_REMOTE_WRITE_USERNAME": "12345",
            "PROMETHEUS_REMOTE_WRITE_PASSWORD": "token",
            "TRACKSIDE_URL": "http://monitor:9490/",
            "TRACKSIDE_KEY": "key",
        }
    )
    found = destinations(settings, pytest.fail)
    assert [(one.name, one.url) for one in found] == [
        ("remote_write", "https://grafana/api/prom/push"),
        ("trackside", "http://monitor:9490/api/v1/write"),
    ]
    assert [one.headers["Authorization"] for one in found] == ["Basic MTIzNDU6dG9rZW4=", "Bearer key"]
    assert "token" not in repr(settings)


def test_the_server_is_one_only_where_it_is_asked_for():
    settings = Settings.from_environment({"TRACKSIDE_URL": "http://monitor:9490"})
    assert destinations(settings, pytest.fail, with_server=False) == []


def test_nowhere_is_no_destination():
    assert destinations(Settings.from_environment({}), pytest.fail) == []


def test_a_bad_address_does_not_take_the_other_with_it():
    environ = {"PROMETHEUS_REMOTE_WRITE_URL": "prom:9090/api/v1/write", "TRACKSIDE_URL": "http://monitor:9490"}
    refused = []
    assert [one.name for one in destinations(Settings.from_environment(environ), refused.append)] == ["trackside"]
    assert "got 'prom:9090/api/v1/write'" in str(refused[0])


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("htps://user:hunter2@host/w", "htps://***@host/w"),
        ("user:hunter2@loki:3100/push", "***@loki:3100/push"),
        ("prom.example.com/write?token=hunter2", "prom.example.com/write"),
    ],
)
def test_a_bad_address_is_shown_without_its_secrets(url, shown):
    with pytest.raises(ValueError, match="expected an address") as refusal:
        Destination.of("x", url)
    assert str(refusal.value).endswith(f"got {shown!r}")
