"""incident.io, Pushover, VictorOps and whatever Apprise knows."""

from urllib.parse import parse_qs

import pytest

from trackside.exceptions import DeliveryError


def test_incidentio(deliver, integration, new_notification):
    config = integration("incidentio", url="{url}", alert_source_token="tok", max_alerts=1)
    ((_, headers, body),) = deliver(config, new_notification()).requests
    assert headers["authorization"] == "Bearer tok"
    assert (body["version"], body["status"], body["truncatedAlerts"], len(body["alerts"])) == ("1", "firing", 1, 1)
    assert body["groupKey"] == '{}:{alertname="Down"}'


def test_pushover(deliver, integration, new_notification, new_alert):
    def at(url):
        one = integration(
            "pushover", user_key="u", token="{{ .CommonLabels.job }}", sound="siren", html=True, ttl="5s"
        )(url)
        one.address = url
        return one

    ((_, headers, body),) = deliver(at, new_notification(new_alert(job="t"))).requests
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    form = {name: values[0] for name, values in parse_qs(body).items()}
    assert "Alerts Firing:\nLabels:" in form.pop("message")
    assert form == {
        "token": "t",
        "user": "u",
        "title": "[FIRING:1] Down (t)",
        "url": "http://monitor/#/alerts?receiver=team",
        "sound": "siren",
        "priority": "2",
        "html": "1",
        "ttl": "5",
        "retry": "60",
        "expire": "3600",
    }


def test_victorops(deliver, integration, new_notification, new_alert):
    section = {
        "api_url": "{url}",
        "api_key": "k",
        "routing_key": "{{ .CommonLabels.job }}/x",
        "custom_fields": {"a": "b"},
    }
    ((line, _, body),) = deliver(integration("victorops", section), new_notification()).requests
    assert line == "POST /hook/k/shop%2Fx HTTP/1.1"
    assert (body["message_type"], body["a"], body["monitoring_tool"]) == ("CRITICAL", "b", "Alertmanager")
    assert body["entity_display_name"] == "[FIRING:2] Down (shop)"
    ended = new_notification(new_alert(resolved=True, job="shop"))
    assert deliver(integration("victorops", section), ended).bodies[0]["message_type"] == "RECOVERY"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
class TestApprise:
    def test_it_is_sent(self, deliver, integration, new_notification, new_alert):
        def at(url):
            return integration("apprise", url=url.replace("http://", "json://"), title="t {{ .Status }}")("")

        (body,) = deliver(at, new_notification(new_alert(job="shop"))).bodies
        assert (body["title"], body["type"]) == ("t firing", "failure")
        assert body["message"].startswith("Down is bad\nsince Nov 14 22:13 UTC, value 1\nGraph: http://monitor/graph")

    def test_the_address_is_no_part_of_an_error(self, deliver, integration, new_notification, server, answer, tmp_path):
        def at(url):
            (tmp_path / "url").write_text(url.replace("http://", "json://user:abc-secret@"))
            return integration("apprise", url_file=str(tmp_path / "url"))("")

        with pytest.raises(DeliveryError, match="JSON did not take it") as raised:
            deliver(at, new_notification(), server(answer(500)))
        # It says no more than that, and waits in vain for an answer in the same words.
        assert (raised.value.retry, raised.value.maybe_sent) == (True, True)
        (tmp_path / "url").write_text("nosuch://abc-secret")
        with pytest.raises(DeliveryError, match="not the Apprise URL") as raised:
            deliver(lambda _: integration("apprise", url_file=str(tmp_path / "url"))(""), new_notification())
        assert "abc-secret" not in raised.value.reason

    @pytest.mark.parametrize("url", ["syslog://", "file:///etc/passwd", "dbus://", "windows://", ""])
    def test_what_stays_on_the_machine_is_no_receiver(self, integration, url):
        with pytest.raises(ValueError, match=r"expected either|not the Apprise URL"):
            integration("apprise", url=url)("")
