"""Sections of receivers: what is taken, what is refused and why, and what `global` fills in."""

import pytest

from trackside.exceptions import ConfigError
from trackside.server.receivers.config import ReceiverConfig, UnfilledError, filled
from trackside.server.receivers.defaults import NotificationDefaults
from trackside.server.schema import Section
from trackside.server.yamlfile import parse_yaml, section_of


class File(Section):
    global_: NotificationDefaults = NotificationDefaults()
    receiver: ReceiverConfig


def read(kind, section, defaults="{}"):
    text = f"global_: {defaults}\nreceiver: {{name: r, {kind}_configs: [{section}]}}\n"
    file = section_of(parse_yaml(text, "t.yml"), File)
    return filled(file.receiver, file.global_)


U = "url: 'http://x'"
A = "api_url: 'http://x'"
H = "webhook_url: 'http://x'"
M = "to: a@b.c, from: x@y.z, smarthost: 'h:25'"
J = "api_url: 'http://x', project: p, issue_type: b"

TAKEN = [
    ("webhook", "{url: '{{ .X }}'}"),
    ("webhook", f"{{{U}, timeout: 0, send_resolved: null}}"),
    ("webhook", f"{{{U}, payload: abc}}"),
    ("webhook", f"{{{U}, send_resolved: off, max_alerts: 3}}"),
    ("webhook", "{url: <secret>}"),
    ("slack", "{app_token: t}"),
    ("slack", "{app_token: t, app_url: 'http://y', update_message: true}"),
    ("slack", "{api_url: 'https://slack.com/api/chat.postMessage', update_message: true}"),
    ("slack", f"{{{A}, actions: [{{type: b, text: t, name: n}}], update_message: false, mrkdwn_in: []}}"),
    (
        "slack",
        f"{{{A}, actions: [{{type: b, text: t, url: u, confirm: {{text: x}}}}], fields: [{{title: 1, value: 2.50}}]}}",
    ),
    ("pagerduty", "{routing_key: k, service_key: k}"),
    ("pagerduty", "{service_key_file: f, links: [{}], images: [{}]}"),
    ("pagerduty", "{routing_key: k, details: {a: [1, {b: c}]}}"),
    ("email", f"{{{M}}}"),
    ("email", "{to: no address, from: x, smarthost: ':25'}"),
    ("email", "{to: a@b.c, from: x@y.z, smarthost: '[::1]:smtp'}"),
    ("email", f"{{{M}, auth_password: a, auth_password_file: b, auth_secret: a, auth_secret_file: b}}"),
    ("email", f"{{{M}, threading: {{thread_by_date: weekly}}, headers: {{Message-ID: x}}}}"),
    ("email", f"{{{M}, force_implicit_tls: true, require_tls: true}}"),
    ("opsgenie", "{api_key: k, responders: [{name: x, type: Teams}], details: {a: 1}}"),
    ("opsgenie", "{api_key_file: f, update_alerts: true, entity: e, actions: a}"),
    ("telegram", "{bot_token: t, chat_id: -100, parse_mode: MarkdownV2}"),
    ("discord", "{webhook_url_file: f, avatar_url: x}"),
    ("msteams", f"{{{H}}}"),
    ("msteamsv2", f"{{{H}}}"),
    ("incidentio", "{url: 'http://x', http_config: {authorization: {credentials: x}}}"),
    ("incidentio", "{url_file: f, alert_source_token: t, timeout: 0}"),
    ("jira", f"{{{J}, api_type: cloud, summary: x, description: {{template: x, enable_update: false}}}}"),
    ("mattermost", f"{{{H}, attachments: [{{text: a, fields: [{{title: b, value: c}}]}}], props: {{card: x}}}}"),
    ("mattermost", f"{{{H}, priority: {{priority: foo}}}}"),
    ("rocketchat", "{token: t, token_id: i, fields: [{}], actions: [{}]}"),
    ("webex", "{room_id: r, http_config: {authorization: {credentials: t}}}"),
    ("wechat", "{api_secret: s, corp_id: c, message_type: ''}"),
    ("pushover", "{user_key: u, token: t, retry: 1.5m, expire: 1h, ttl: 1s}"),
    ("victorops", "{api_key: k, routing_key: r, custom_fields: {a: b}}"),
    ("jira", f"{{{J}, api_type: auto, reopen_duration: 1d, fields: {{a: [1, {{b: true}}]}}, labels: [a, b]}}"),
    ("sns", "{topic_arn: x, sigv4: {access_key: a, secret_key: b, region: c}}"),
    ("sns", "{phone_number: x, sigv4: {profile: p, role_arn: r, external_id: e, use_fips_sts_endpoint: true}}"),
    ("sns", "{target_arn: x, use_aws_http_client: true, attributes: {a: 1}}"),
    ("webhook", f"{{{U}, http_config: {{basic_auth: {{}}}}}}"),
    ("webhook", f"{{{U}, http_config: {{basic_auth: {{username: u, password_ref: f}}}}}}"),
    ("webhook", f"{{{U}, http_config: {{authorization: {{}}}}}}"),
    ("webhook", f"{{{U}, http_config: {{oauth2: {{client_id: a, token_url: 'http://x', client_secret: s}}}}}}"),
    ("webhook", f"{{{U}, http_config: {{proxy_url: 'http://p:1', no_proxy: x, proxy_connect_header: {{X: [a]}}}}}}"),
    ("webhook", f"{{{U}, http_config: {{tls_config: {{cert: a, key: b, ca_ref: x, min_version: TLS13}}}}}}"),
    ("webhook", f"{{{U}, http_config: {{http_headers: {{X-A: {{values: [a], secrets: [b], files: [c]}}}}}}}}"),
]


@pytest.mark.parametrize(("kind", "section"), TAKEN, ids=[f"{kind} {section}" for kind, section in TAKEN])
def test_taken(kind, section):
    assert len(list(read(kind, section).configs())) == 1


REFUSED = [
    ("webhook", "{}", "expected either `url` or `url_file`"),
    ("webhook", "{url: ''}", "expected either `url` or `url_file`"),
    ("webhook", "{url_file: ''}", "expected either `url` or `url_file`"),
    ("webhook", "{url: 'http://x', url_file: f}", "at most one of url and url_file"),
    ("webhook", "{url: 'http://'}", "expected a URL with a host"),
    ("webhook", "{url: 'ftp://x'}", "expected a URL that begins with"),
    ("webhook", f"{{{U}, max_alerts: -1}}", "max_alerts: expected greater than or equal to 0"),
    ("webhook", f"{{{U}, max_alerts: '3'}}", "expected a whole number, found '3'"),
    ("webhook", f"{{{U}, send_resolved: 'true'}}", "expected true or false, found 'true'"),
    ("webhook", f"{{{U}, send_resolved: 1}}", "expected true or false, found 1"),
    ("webhook", f"{{{U}, timeout: 1d}}", "not a duration: '1d'"),
    ("webhook", "null", "expected keys and values, found None"),
    ("slack", "{}", "expected api_url, api_url_file, app_token or app_token_file"),
    ("slack", "{app_url: 'http://y'}", "expected api_url, api_url_file, app_token or app_token_file"),
    ("slack", "{api_url: x}", "begins with http"),
    ("slack", f"{{{A}, api_url_file: f}}", "at most one of api_url and api_url_file"),
    ("slack", f"{{{A}, app_token: t}}", "at most one of api_url and app_token"),
    ("slack", "{app_token: t, app_token_file: f}", "at most one of app_token and app_token_file"),
    ("slack", "{app_token: t, http_config: {authorization: {credentials: x}}}", "logs in by itself"),
    ("slack", f"{{{A}, update_message: true}}", "update_message is for apps"),
    ("slack", f"{{{A}, fields: [{{title: a}}]}}", "fields[0].value: is required"),
    ("slack", f"{{{A}, fields: [{{value: a}}]}}", "fields[0].title: is required"),
    ("slack", f"{{{A}, actions: [{{type: b}}]}}", "actions[0].text: is required"),
    ("slack", f"{{{A}, actions: [{{type: b, text: t}}]}}", "expected a url, or a name"),
    ("slack", f"{{{A}, actions: [{{type: b, text: t, url: u, confirm: {{}}}}]}}", "confirm.text: is required"),
    ("slack", f"{{{A}, chanel: c}}", "did you mean 'channel'?"),
    ("pagerduty", "{routing_key: ''}", "expected a routing_key or a service_key"),
    ("pagerduty", "{routing_key_file: k, routing_key: x}", "at most one of routing_key and routing_key_file"),
    ("pagerduty", "{service_key_file: k, service_key: x}", "at most one of service_key and service_key_file"),
    ("pagerduty", "{routing_key: k, url: x}", "begins with http"),
    ("pagerduty", "{routing_key: k, details: x}", "details: expected"),
    ("email", "{to: a@b.c}", "expected a smarthost"),
    ("email", "{to: a@b.c, smarthost: 'h:1'}", "expected `from`"),
    ("email", "{from: x@y.z, smarthost: 'h:25'}", "to: is required"),
    ("email", "{to: a@b.c, from: x, smarthost: h}", "expected a host and a port"),
    ("email", "{to: a@b.c, from: x, smarthost: 'h:'}", "expected a host and a port"),
    ("email", "{to: a@b.c, from: x, smarthost: '::1:25'}", "expected a host and a port"),
    ("email", f"{{{M}, threading: {{enabled: true}}}}", "expected none or daily"),
    ("email", f"{{{M}, headers: {{A-b: x, a-B: y}}}}", "the header A-B stands here twice"),
    ("email", f"{{{M}, threading: {{enabled: true, thread_by_date: none}}, headers: {{references: x}}}}", "References"),
    ("opsgenie", "{}", "expected an api_key or an api_key_file"),
    ("opsgenie", "{api_key: k, api_key_file: f}", "at most one of api_key and api_key_file"),
    ("opsgenie", "{api_key: k, responders: [{id: x}]}", "expected a type"),
    ("opsgenie", "{api_key: k, responders: [{type: team}]}", "expected an id, a name or a username"),
    ("opsgenie", "{api_key: k, responders: [{name: x, type: foo}]}", "expected team, teams, user"),
    ("opsgenie", "{api_key: k, responders: [{name: x, type: '{{ foo }}'}]}", "does not parse"),
    ("opsgenie", "{api_key: k, details: {a: {b: 1}}}", "details.a: expected text"),
    ("telegram", "{chat_id: 1}", "expected a bot_token or a bot_token_file"),
    ("telegram", "{bot_token: t, chat_id: 0}", "expected a chat_id or a chat_id_file"),
    ("telegram", "{bot_token: t, chat_id: '5'}", "expected a whole number"),
    ("telegram", "{bot_token: t, chat_id: 5, chat_id_file: f}", "at most one of chat_id and chat_id_file"),
    ("telegram", "{bot_token: t, chat_id: 5, parse_mode: html}", "expected Markdown, MarkdownV2, HTML"),
    ("discord", "{}", "expected either `webhook_url` or `webhook_url_file`"),
    ("discord", f"{{{H}, webhook_url_file: f}}", "at most one of webhook_url"),
    ("msteams", "{}", "expected either `webhook_url`"),
    ("msteamsv2", f"{{{H}, webhook_url_file: f}}", "at most one of webhook_url"),
    ("incidentio", "{}", "expected either `url` or `url_file`"),
    ("incidentio", f"{{{U}, alert_source_token: t, alert_source_token_file: f}}", "at most one of alert_source_token"),
    ("incidentio", f"{{{U}, alert_source_token: t, http_config: {{authorization: {{credentials: x}}}}}}", "either an"),
    ("jira", "{project: p, issue_type: b}", "expected an api_url"),
    ("jira", f"{{{J}, api_type: foo}}", "expected auto, cloud or datacenter"),
    ("jira", f"{{{J}, labels: a}}", "labels: expected a list"),
    ("mattermost", "{}", "expected a webhook_url"),
    ("mattermost", f"{{{H}, fields: [{{title: a}}]}}", "fields[0].value: is required"),
    ("rocketchat", "{token: t}", "expected a token_id"),
    ("rocketchat", "{token_id: t}", "expected a token or"),
    ("rocketchat", "{token: t, token_id: i, token_id_file: f}", "at most one of token_id"),
    ("webex", "{room_id: r, http_config: {basic_auth: {username: t}}}", "expected http_config.authorization"),
    ("webex", "{http_config: {authorization: {credentials: t}}}", "room_id: is required"),
    ("wechat", "{}", "expected an api_secret"),
    ("wechat", "{api_secret: s}", "expected a corp_id"),
    ("wechat", "{api_secret: s, corp_id: c, message_type: foo}", "expected text or markdown"),
    ("pushover", "{user_key: u}", "expected a token"),
    ("pushover", "{token: t}", "expected a user_key"),
    ("pushover", "{user_key: u, token: t, html: true, monospace: true}", "at most one of html and monospace"),
    ("pushover", "{user_key: u, token: t, retry: 30}", "not a duration: 30"),
    ("victorops", "{api_key: k}", "routing_key: is required"),
    ("victorops", "{routing_key: k}", "expected an api_key"),
    (
        "victorops",
        "{api_key: k, routing_key: r, custom_fields: {entity_state: b}}",
        "entity_state has a key of its own",
    ),
    ("sns", "{}", "expected one of topic_arn"),
    ("sns", "{topic_arn: x, phone_number: y}", "expected one of topic_arn"),
    ("sns", "{topic_arn: x, sigv4: {access_key: a}}", "an access_key and a secret_key together"),
    ("webhook", f"{{{U}, http_config: {{basic_auth: {{username: u}}, bearer_token: t}}}}", "at most one of basic_auth"),
    (
        "webhook",
        f"{{{U}, http_config: {{basic_auth: {{username: u, username_file: f}}}}}}",
        "username and username_file",
    ),
    ("webhook", f"{{{U}, http_config: {{authorization: {{type: ' basic '}}}}}}", "use basic_auth"),
    ("webhook", f"{{{U}, http_config: {{oauth2: {{client_id: a}}}}}}", "token_url: is required"),
    ("webhook", f"{{{U}, http_config: {{oauth2: {{token_url: 'http://x'}}}}}}", "expected a client_id"),
    ("webhook", f"{{{U}, http_config: {{no_proxy: x}}}}", "only beside proxy_url"),
    (
        "webhook",
        f"{{{U}, http_config: {{proxy_from_environment: true, proxy_url: 'http://p'}}}}",
        "at most one of proxy_url",
    ),
    ("webhook", f"{{{U}, http_config: {{proxy_connect_header: {{X: [a]}}}}}}", "only with a proxy"),
    ("webhook", f"{{{U}, http_config: {{tls_config: {{cert_file: a}}}}}}", "a certificate and a key together"),
    ("webhook", f"{{{U}, http_config: {{tls_config: {{ca: x, ca_file: y}}}}}}", "at most one of ca and ca_file"),
    ("webhook", f"{{{U}, http_config: {{tls_config: {{min_version: TLS9}}}}}}", "expected TLS10, TLS11"),
    ("webhook", f"{{{U}, http_config: {{http_headers: {{User-Agent: {{values: [a]}}}}}}}}", "User-Agent cannot be set"),
    ("nosuch", "{}", "unknown key"),
]


@pytest.mark.parametrize(
    ("kind", "section", "expected"), REFUSED, ids=[f"{kind} {section}" for kind, section, _ in REFUSED]
)
def test_refused(kind, section, expected):
    with pytest.raises((ConfigError, UnfilledError)) as raised:
        read(kind, section)
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    ("defaults", "kind", "section", "expected"),
    [
        pytest.param("{slack_api_url: 'http://g'}", "slack", "{}", {"api_url": "http://g"}, id="slack"),
        pytest.param("{slack_api_url: 'http://g'}", "slack", "{app_token: t}", {"api_url": ""}, id="slack, by token"),
        pytest.param("{slack_app_token: t}", "slack", "{}", {"app_token": "t"}, id="slack app"),
        pytest.param(
            "{slack_app_token: t, slack_api_url: 'https://slack.com/api/chat.postMessage'}",
            "slack",
            "{http_config: {authorization: {credentials: x}}}",
            {"app_token": "", "api_url": "https://slack.com/api/chat.postMessage"},
            id="slack, a token of one's own",
        ),
        pytest.param(
            "{jira_api_url: 'http://g'}", "jira", "{project: p, issue_type: b}", {"api_url": "http://g"}, id="jira"
        ),
        pytest.param("{opsgenie_api_key_file: f}", "opsgenie", "{}", {"api_key_file": "f"}, id="opsgenie"),
        pytest.param(
            "{telegram_bot_token: t}", "telegram", "{chat_id: 1, bot_token_file: f}", {"bot_token": ""}, id="tg"
        ),
        pytest.param(
            "{smtp_smarthost: 'h:25', smtp_from: a@b, smtp_require_tls: false, smtp_hello: me}",
            "email",
            "{to: x@y}",
            {"smarthost": "h:25", "from_": "a@b", "require_tls": False, "hello": "me"},
            id="email",
        ),
        pytest.param(
            "{}", "pagerduty", "{routing_key: k}", {"url": "https://events.pagerduty.com/v2/enqueue"}, id="pd"
        ),
    ],
)
def test_what_is_not_said_is_global(defaults, kind, section, expected):
    ((_, _, config),) = read(kind, section, defaults).configs()
    found = {name: getattr(config, name) for name in expected}
    shown = {
        name: value.get_secret_value() if hasattr(value, "get_secret_value") else value for name, value in found.items()
    }
    assert shown == expected


@pytest.mark.parametrize(
    ("defaults", "expected"),
    [
        ("{slack_api_url: 'http://x', slack_api_url_file: f}", "at most one of slack_api_url and slack_api_url_file"),
        ("{slack_app_token: t, slack_api_url: 'http://x'}", "at most one of slack_app_token and slack_api_url"),
        ("{slack_app_token: t, slack_api_url_file: f}", "at most one of slack_app_token and slack_api_url"),
        ("{smtp_auth_secret: a, smtp_auth_secret_file: b}", "at most one of smtp_auth_secret"),
        ("{pagerduty_url: ''}", "begins with http"),
        ("{smtp_smarthost: x}", "expected a host and a port"),
        ("{resolve_timeout: -1s}", "not a duration"),
    ],
)
def test_refused_globals(defaults, expected):
    with pytest.raises(ConfigError) as raised:
        read("webhook", f"{{{U}}}", defaults)
    assert expected in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "section"),
    [
        ("slack", "{api_url: ['https://hooks/abc-secret']}"),
        ("pagerduty", "{routing_key: {abc-secret: 1}}"),
        ("webhook", "{url: 'ftp://abc-secret/'}"),
        ("webhook", f"{{{U}, http_config: {{basic_auth: {{username: u, password: [abc-secret]}}}}}}"),
        ("apprise", "{url: 'nosuch://abc-secret'}"),
        ("discord", "{webhook_url: 'https://[abc-secret'}"),
        ("sns", "{topic_arn: x, sigv4: {access_key: a, secret_key: [abc-secret]}}"),
        ("sns", "{topic_arn: x, sigv4: {secret_key: abc-secret}}"),
    ],
)
def test_a_refusal_does_not_show_a_secret(kind, section):
    with pytest.raises(ConfigError) as raised:
        read(kind, section)
    assert "abc-secret" not in str(raised.value)


def test_a_section_does_not_show_a_secret_when_it_is_printed():
    receiver = read("pagerduty", "{routing_key: abc-secret}")
    assert "abc-secret" not in repr(receiver)
    assert "abc-secret" not in receiver.model_dump_json()


def test_receivers_have_labels():
    text = "name: r\nlabels: {team: a, level: 1.50}\n"
    assert section_of(parse_yaml(text, "t.yml"), ReceiverConfig).labels == {"team": "a", "level": "1.50"}
    with pytest.raises(ConfigError, match="the receiver's own"):
        section_of(parse_yaml("name: r\nlabels: {name: x}\n", "t.yml"), ReceiverConfig)
