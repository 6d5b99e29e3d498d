import time

import pytest

from trackside.model.secret_keys import SecretKeys
from trackside.model.secret_texts import MAX_TEXT, without_secrets

KEYS = SecretKeys()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password=hunter2 next", "password=[Filtered] next"),
        ("password: hunter2", "password: [Filtered]"),
        ('{"password": "hun ter2", "a": 1}', '{"password": "[Filtered]", "a": 1}'),
        ("{'a': {'password': 'hunter2', 'b': 1}}", "{'a': {'password': '[Filtered]', 'b': 1}}"),
        (r'"{\"password\": \"hun ter2\", \"k\": 1}"', r'"{\"password\": \"[Filtered]\", \"k\": 1}"'),
        ("password='it\\'s hunter2' x", "password='[Filtered]' x"),
        ("password=b'hunter2'", "password='[Filtered]'"),
        ("[('password', 'hunter2'), ('a', 'b')]", "[('password', '[Filtered]'), ('a', 'b')]"),
        (":password => hunter2", ":password => [Filtered]"),
        ("secrets: ['hunter2', 'x'] end", "secrets: [Filtered] end"),
        ("/x?a=1&token=hunter2&b=2#c", "/x?a=1&token=[Filtered]&b=2#c"),
        ("user%5Bpassword%5D=hunter2&x=1", "user%5Bpassword%5D=[Filtered]&x=1"),
        ("postgres://app:hun@ter2@db/shop", "postgres://app:[Filtered]@db/shop"),
        ("redis://:hunter2@cache:6379/0", "redis://:[Filtered]@cache:6379/0"),
        ("Authorization: Basic aHVudGVyMg==", "Authorization: [Filtered]"),
        ("sent Bearer hunter2-hunter2 to", "sent Bearer [Filtered] to"),
        ("Cookie: a=hunter2; b=hunter2", "Cookie: [Filtered]"),
        ("eyJhbGciOi.eyJzdWIi.c2ln end", "[Filtered] end"),
        ("key sk-ant-api03-abcdefghijklmnop", "key [Filtered]"),
        ("ghp_abcdefghijklmnopqrst1234", "[Filtered]"),
        ("xoxb-1234567890-abcdef", "[Filtered]"),
        ("AKIAIOSFODNN7EXAMPLE", "[Filtered]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nend", "[Filtered]\nend"),
        ("-----BEGIN PRIVATE KEY-----\nabc", "[Filtered]"),
        ("card 4111 1111 1111 1111.", "card [Filtered]."),
        ("card 4111-1111-1111-1111 and 378282246310005", "card [Filtered] and [Filtered]"),
    ],
)
def test_secrets_go(text, expected):
    assert without_secrets(text, KEYS) == expected


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens=5 input_tokens: 7",
        "password, username and token are required",
        "2025-12-30 12:00:00,123 INFO path=/items/3 status=200",
        "https://example.com:8080/a?mail=me@example.com",
        "order 4111111111111112, trace 0af7651916cd43dd8448eb211c80319c",
        "task-runner sk-learn-classifier-regression",
        "keyerror: 'x'",
        "",
    ],
)
def test_the_rest_stays(text):
    assert without_secrets(text, KEYS) == text


def test_a_scrubbed_text_stays_as_it_is():
    once = without_secrets("password=hunter2, Cookie: a=b", KEYS)
    assert without_secrets(once, KEYS) == once


def test_what_is_too_long_to_look_at_is_cut():
    assert "hunter2" not in without_secrets("x" * MAX_TEXT + " password=hunter2", KEYS)


HOSTILE = [
    "a",
    "a=b",
    "a=b=",
    "'",
    "password='",
    "://",
    "Bearer ",
    "4111 ",
    "cookie=",
    "{([",
    "eyJ",
    "eyJaaaaaa.",
    '\\"',
    'password=\\"',
    "password:[",
    "-----BEGIN PRIVATE KEY-----",
    "sk-",
    "sk-a-",
    "=>",
    "1234-",
    "%5B",
    "[",
    " ",
]


@pytest.mark.parametrize("part", HOSTILE)
def test_no_text_takes_long(part):
    began_s = time.thread_time()
    without_secrets(part * (MAX_TEXT // len(part)), KEYS)
    assert time.thread_time() - began_s < 1.5
