"""Jira: an issue is found by its mark, made, kept up to date, closed and opened again."""

import hashlib
import json
import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackside.exceptions import DeliveryError
from trackside.server.receivers.jira_config import JiraConfig
from trackside.server.receivers.jira_issue import query

CERTIFICATE = Path(__file__).parent / "testdata" / "untrusted.pem"
GROUP_KEY = '{}:{alertname="Down"}'
MARK = f"ALERT{{{hashlib.sha256(GROUP_KEY.encode()).hexdigest()}}}"
SECTION = {"api_url": "{url}/rest/api/2", "project": "OPS", "issue_type": "Bug"}
NONE = '{"issues": []}'
TRANSITIONS = '{"transitions": [{"id": "11", "name": "Close"}, {"id": "12", "name": "Reopen"}]}'


def issues(category="indeterminate", key="OPS-1"):
    return json.dumps({"issues": [{"key": key, "fields": {"status": {"statusCategory": {"key": category}}}}]})


@pytest.fixture
def sent(deliver, integration, new_notification, new_alert, server, answer):
    """What is asked when Jira answers so, one after the other; the last answer also to all that follow."""

    def run(*answers, resolved=False, alerts=None, **section):
        made = [one if isinstance(one, bytes) else answer(200, body=one) for one in answers]
        fake = server(made[-1], made[:-1])
        message = new_notification(*(alerts or [new_alert(job="shop", resolved=resolved)]))
        try:
            deliver(integration("jira", SECTION, **section), message, fake)
        finally:
            fake.asked = [(*line.split()[:2], body) for line, _, body in fake.requests]
        return fake

    return run


def test_a_new_group_gets_an_issue(sent):
    fake = sent(NONE, '{"key": "OPS-1"}', labels=["b", "a b", ""], http_config={"authorization": {"credentials": "t"}})
    (search, made) = fake.asked
    jql = f'statusCategory != Done and project="OPS" and labels="{MARK}" order by status ASC,resolutiondate DESC'
    assert search == ("POST", "/hook/rest/api/2/search", {"jql": jql, "maxResults": 2, "fields": ["status"]})
    description = made[2]["fields"].pop("description")
    assert description.startswith("\n# Alerts Firing:")
    assert made == (
        "POST",
        "/hook/rest/api/2/issue",
        {
            "fields": {
                "project": {"key": "OPS"},
                "issuetype": {"name": "Bug"},
                "summary": "[FIRING:1] Down (shop)",
                "labels": [MARK, "a_b", "b"],
            }
        },
    )
    assert {headers["authorization"] for _, headers, _ in fake.requests} == {"Bearer t"}


@pytest.mark.parametrize(
    ("category", "resolved", "paths"),
    [
        pytest.param("indeterminate", False, ["PUT /issue/OPS-1"], id="it is open, and the alert fires"),
        pytest.param("new", True, ["PUT /issue/OPS-1", "POST 11"], id="it is open, and all is over"),
        pytest.param("done", False, ["PUT /issue/OPS-1", "POST 12"], id="it is closed, and the alert fires"),
        pytest.param("done", True, ["PUT /issue/OPS-1"], id="it is closed, and all is over"),
    ],
)
def test_an_issue_follows_its_group(sent, category, resolved, paths):
    moves = {"resolve_transition": "Close", "reopen_transition": "Reopen", "reopen_duration": "1h"}
    _, *asked = sent(issues(category), "", TRANSITIONS, "", resolved=resolved, **moves).asked
    found = [
        f"{method} {body['transition']['id'] if 'transition' in body else path.removeprefix('/hook/rest/api/2')}"
        for method, path, body in asked
        if method != "GET"
    ]
    assert found == paths


def test_what_is_over_and_has_no_open_issue_needs_none(sent):
    assert len(sent(NONE, resolved=True, resolve_transition="Close").asked) == 1


def test_a_state_that_jira_does_not_tell_is_left_alone(sent):
    asked = sent('{"issues": [{"key": "OPS-1"}]}', "", resolve_transition="Close", resolved=True).asked
    assert [method for method, _, _ in asked] == ["POST", "PUT"]


def test_a_transition_that_jira_does_not_know_is_said(sent):
    with pytest.raises(DeliveryError, match="has no transition 'close'; there are: Close, Reopen") as raised:
        sent(issues(), "", TRANSITIONS, resolve_transition="close", resolved=True)
    assert not raised.value.retry


@pytest.mark.parametrize("told", ["", "null", "[]", '{"transitions": 1}', '{"transitions": [1, {}]}'])
def test_transitions_of_any_shape(sent, told):
    with pytest.raises(DeliveryError, match="has no transition"):
        sent(issues(), "", told, resolve_transition="Close", resolved=True)


@pytest.mark.parametrize(
    "told",
    [
        *("", "<html>Log in</html>", "null", "{}", "[]", '{"issues": null}', '{"issues": {}}', '{"issues": [null]}'),
        *('{"issues": [{}]}', '{"issues": [{"key": 1}]}', '{"issues": [{"key": ""}]}'),
    ],
)
def test_an_answer_that_is_no_list_of_issues_makes_no_issue(sent, told):
    with pytest.raises(DeliveryError) as raised:
        sent(told)
    assert raised.value.retry


@pytest.mark.parametrize("fields", ["null", "[]", '{"status": "Done"}', '{"status": {"statusCategory": {"key": 3}}}'])
def test_a_state_of_any_shape(sent, fields):
    assert len(sent(f'{{"issues": [{{"key": "A-1", "fields": {fields}}}]}}', "").asked) == 2


def test_a_key_stays_within_its_part_of_the_path(sent):
    asked = sent(issues(key="../../admin?x=#"), "").asked
    assert asked[1][1] == "/hook/rest/api/2/issue/..%2F..%2Fadmin%3Fx%3D%23"


@pytest.mark.parametrize(
    ("place", "code", "retry"),
    [
        *((place, code, retry) for place in range(4) for code, retry in ((429, True), (500, True), (503, True))),
        *((place, code, False) for place in range(4) for code in (400, 401, 403, 404, 409)),
    ],
)
def test_a_refusal_of_any_request(sent, answer, place, code, retry):
    answers = [issues(), "", TRANSITIONS, ""]
    answers[place] = answer(code, "Retry-After: 7", body='{"errorMessages":["Field \'priority\' cannot be set"]}')
    with pytest.raises(DeliveryError, match=f"answered {code} Reason: .*priority") as raised:
        sent(*answers[: place + 1], resolve_transition="Close", resolved=True)
    assert (raised.value.retry, raised.value.retry_after_s) == (retry, 7.0 if retry else None)


def test_a_certificate_nobody_vouches_for(deliver, integration, new_notification):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    with pytest.raises(DeliveryError, match="its certificate is not trusted") as raised:
        deliver(integration("jira", SECTION), new_notification(), tls=tls)
    assert raised.value.retry


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_credentials_follow_no_redirect_to_another_host(sent, answer, code):
    login = {"basic_auth": {"username": "u", "password": "abc-secret"}}
    with pytest.raises(DeliveryError) as raised:
        sent(answer(code, "Location: http://elsewhere.example/"), http_config=login)
    assert not raised.value.retry
    assert "abc-secret" not in raised.value.reason


@pytest.mark.parametrize(
    ("url", "kind", "expected"),
    [
        ("https://jira.example.org/rest/api/2", "auto", "https://jira.example.org/rest/api/2/search"),
        ("https://jira.example.org/rest/api/2/", "datacenter", "https://jira.example.org/rest/api/2/search"),
        ("https://jira.example.org/rest/api/2", "cloud", "https://jira.example.org/rest/api/3/search/jql"),
        ("https://us.atlassian.net/rest/api/3/", "auto", "https://us.atlassian.net/rest/api/3/search/jql"),
        ("https://us.atlassian.net:443/rest/api/2", "auto", "https://us.atlassian.net:443/rest/api/3/search/jql"),
        ("https://us.atlassian.net/rest/api/2", "datacenter", "https://us.atlassian.net/rest/api/2/search"),
        (
            "https://us.atlassian.net.example.org/rest/api/2",
            "auto",
            "https://us.atlassian.net.example.org/rest/api/2/search",
        ),
        (
            "https://api.atlassian.com/ex/jira/1-2/rest/api/2",
            "auto",
            "https://api.atlassian.com/ex/jira/1-2/rest/api/3/search/jql",
        ),
        ("https://jira.example.org", "cloud", "https://jira.example.org/search/jql"),
    ],
)
def test_where_issues_are_searched(url, kind, expected):
    assert JiraConfig(api_url=url, api_type=kind, project="p", issue_type="t").search_url == expected


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_text_becomes_a_part_of_the_query(project, resolution):
    found = _query(project, resolution).removesuffix(" order by status ASC,resolutiondate DESC")
    texts = []
    while '"' in found:
        before, _, rest = found.partition('"')
        text, end = json.JSONDecoder().raw_decode(f'"{rest}')
        texts.append((before, text))
        found = rest[end - 1 :]
    empty = [("(resolution is EMPTY or resolution != ", resolution)] if resolution else []
    status = f"{') and ' if resolution else ''}statusCategory != Done and project="
    assert texts == [*empty, (status, project), (" and labels=", MARK)]


def _query(project, resolution):
    class Texts:
        def required(self, text):
            return text

    class Message:
        status, group_key = "firing", GROUP_KEY

    section = {"api_url": "http://x", "project": project or "p", "issue_type": "t", "wont_fix_resolution": resolution}
    config = JiraConfig.model_validate(section).model_copy(update={"project": project})
    return query(config, Texts(), Message())


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        pytest.param({"summary": "a\r\nb  c\n"}, {"summary": "a b  c"}, id="a summary is one line"),
        pytest.param({"summary": "é" * 300}, {"summary": "é" * 254 + "…"}, id="and is cut"),
        pytest.param({"summary": ""}, {"summary": '[FIRING] {}:{alertname="Down"}'}, id="and says something"),
        pytest.param(
            {"summary": "{{ .Nosuch }}"}, {"summary": '[FIRING] {}:{alertname="Down"}'}, id="also if it fails"
        ),
        pytest.param({"description": "é" * 40_000}, {"description": "é" * 32_766 + "…"}, id="a long description"),
        pytest.param({"description": ""}, {"description": None}, id="no description"),
        pytest.param({"priority": "{{ .Nosuch }}"}, {"priority": None}, id="no priority"),
        pytest.param({"fields": {"priority": {"name": "P1"}}}, {"priority": {"name": "P1"}}, id="a field of one's own"),
        pytest.param({"fields": {"n": [{"n": 3}]}}, {"n": [{"n": 3}]}, id="numbers anywhere"),
        pytest.param({"fields": {"labels": ["own"]}, "labels": ["a"]}, {"labels": [MARK, "own"]}, id="the mark stays"),
        pytest.param({"fields": {"labels": "no list"}}, {"labels": [MARK]}, id="labels that are none"),
    ],
)
def test_fields(sent, section, expected):
    fields = sent(NONE, "{}", **section).asked[1][2]["fields"]
    assert {name: fields.get(name) for name in expected} == expected


@pytest.mark.parametrize("key", ["project", "issue_type"])
def test_nothing_can_be_made_without_a_place(sent, key):
    with pytest.raises(DeliveryError, match="a template failed") as raised:
        sent(NONE, **{key: "{{ .Nosuch }}"})
    assert not raised.value.retry


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        pytest.param(
            "down",
            {
                "type": "doc",
                "version": 1,
                "content": [{"type": "paragraph", "content": [{"type": "text", "text": "down"}]}],
            },
            id="a text becomes a document",
        ),
        pytest.param('{"type": "doc", "of": "{{ .Status }}"}', {"type": "doc", "of": "firing"}, id="a document stays"),
        pytest.param("{{ `` }}", None, id="no document"),
    ],
)
def test_version_3_takes_documents(sent, description, expected):
    fields = sent(NONE, "{}", api_url="{url}/rest/api/3", description=description).asked[1][2]["fields"]
    assert fields.get("description") == expected


@pytest.mark.parametrize(
    "description", ["[" * 100_000, "[1]", '"x"', "x\n" * 30_000, "é" * 40_000, '{"a":' * 9_000, '{"a": 1}']
)
def test_any_text_is_a_document_that_is_not_too_large(sent, description):
    fields = sent(NONE, "{}", api_url="{url}/rest/api/3", description=description).asked[1][2]["fields"]
    assert fields["description"]["type"] == "doc"
    assert len(json.dumps(fields["description"], ensure_ascii=False, separators=(",", ":"))) <= 32_767


@pytest.mark.parametrize(
    ("severities", "resolved", "expected"),
    [
        (["info"], [], "Low"),
        (["info", "warning", "info"], [], "Medium"),
        (["warning", "critical", "warning"], [], "High"),
        (["page", ""], [], None),
        (["info"], ["critical"], "Low"),
        ([], ["info", "critical"], "High"),
    ],
)
def test_the_usual_priority_is_that_of_the_worst_alert(sent, new_alert, severities, resolved, expected):
    alerts = [new_alert(severity=name, i=str(place)) for place, name in enumerate(severities)]
    alerts += [new_alert(severity=name, resolved=True, i=f"r{place}") for place, name in enumerate(resolved)]
    fields = sent(issues(), "", alerts=alerts).asked[1][2]["fields"]
    assert fields.get("priority") == (expected and {"name": expected})
