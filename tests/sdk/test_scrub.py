import json
from urllib.parse import quote_plus, urlencode

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trackside.model.secret_keys import SecretKeys
from trackside.sdk.scrub import FILTERED, Scrubber

SECRET = st.text(st.characters(codec="ascii", categories=("L", "N", "P")), min_size=8, max_size=40).filter(
    lambda text: sum(character.isalnum() for character in text) > 6 and "\\" not in text
)
KEY = st.sampled_from(["password", "Authorization", "X-Api-Key", "apiKey", "tenant_pin", "cookie", "db.password"])
# No word in it names a secret, and none is assigned anything.
WORD = st.text(st.characters(exclude_characters="=:,"), max_size=10).filter(lambda text: text not in SecretKeys())
HARMLESS = st.recursive(
    st.none() | st.booleans() | st.integers() | WORD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=3),
    max_leaves=6,
)


def plain(key, secret):
    return {key: secret}


def nested(key, secret):
    return {key: {"a": [secret, {"b": secret}]}}


def pair(key, secret):
    return [[key, secret], ("other", "x")]


def named(key, secret):
    return [{"name": key, "value": secret}, {"key": key, "value": secret}]


def attribute(key, secret):
    return {key: {"value": secret, "type": "string"}}


def json_text(key, secret):
    return json.dumps({"a": [{key: secret}]})


def form(key, secret):
    return urlencode({"a": "b", key: secret})


def query(key, secret):
    return f"https://example.com/x?{urlencode({key: secret})}#end"


def python_text(key, secret):
    return repr({"a": 1, key: secret})


def log_text(key, secret):
    return f"{key}={quote_plus(secret)} and more"


def raw_bytes(key, secret):
    return {key: secret.encode()}


def key_of_mapping(key, secret):
    return {json.dumps({key: secret}): 1}


SHAPES = [
    plain,
    nested,
    pair,
    named,
    attribute,
    json_text,
    form,
    query,
    python_text,
    log_text,
    raw_bytes,
    key_of_mapping,
]
PLACES = [
    ("request", "headers"),
    ("request", "cookies"),
    ("request", "data"),
    ("request", "query_string"),
    ("extra",),
    ("contexts", "state"),
    ("breadcrumbs", "values", 0, "data"),
    ("breadcrumbs", "values", 0, "message"),
    ("exception", "values", 0, "value"),
    ("exception", "values", 0, "stacktrace", "frames", 0, "vars"),
    ("spans", 0, "data"),
    ("message",),
]


def placed(path, value):
    for step in reversed(path):
        value = [value] if isinstance(step, int) else {step: value}
    return value


@given(KEY, SECRET, st.sampled_from(SHAPES), st.sampled_from(PLACES), HARMLESS)
def test_no_secret_survives_anywhere(key, secret, shape, path, beside):
    event = {"event_id": "0" * 32, "beside": beside, **placed(path, shape(key, secret))}
    without = {**event, **placed(path, shape(key, "-"))}
    assume(secret not in repr(without) + json.dumps(beside) + FILTERED)
    sent = json.dumps(Scrubber(("tenant_pin",)).event(event), ensure_ascii=False)
    for spelling in (secret, quote_plus(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1]):
        assert spelling not in sent


@given(KEY, SECRET, st.sampled_from(PLACES), st.sampled_from(["it was {}", "https://x/{}/y", "{}", "('{}',)"]))
def test_the_echo_of_a_secret_goes_too(key, secret, path, around):
    """A value that stands under a secret key in one place is in no other."""
    event = {"user": {"settings": {key: secret}}, **placed(path, around.format(secret))}
    assume(secret not in repr({"user": {"settings": {key: "-"}}, **placed(path, around)}) + FILTERED)
    assert secret not in json.dumps(Scrubber(("tenant_pin",)).event(event), ensure_ascii=False)


@pytest.mark.parametrize("value", ["'hunter22'", "b'hunter22'", '"hunter22"', "Bearer hunter22", "a=1; sid=hunter22"])
def test_the_echo_is_found_without_what_stood_around_it(value):
    event = {"extra": {"password": value}, "message": "refused with hunter22"}
    assert Scrubber().event(event)["message"] == f"refused with {FILTERED}"


def test_words_beside_a_secret_are_not_taken_for_it():
    event = {"extra": {"authorization": "Bearer hunter22"}, "message": "Bearer, of course"}
    assert Scrubber().event(event)["message"] == "Bearer, of course"


@given(HARMLESS)
def test_what_holds_no_secret_stays(value):
    assert Scrubber().value(value) == value


@pytest.mark.parametrize("nothing", [None, True, False, "", [], {}, ()], ids=repr)
def test_whether_there_is_a_secret_is_none(nothing):
    assert Scrubber().value({"token": nothing, "X-Api-Key": nothing}) == {"token": nothing, "X-Api-Key": nothing}


@pytest.mark.parametrize("secret", [0, 1234, 0.5, "x", b"x", ["x"], {"a": "x"}, [False]], ids=repr)
def test_a_number_or_a_collection_may_be_one(secret):
    assert Scrubber().value({"pin_code_otp": secret}) == {"pin_code_otp": FILTERED}


@given(st.dictionaries(KEY, SECRET), HARMLESS)
def test_the_event_that_was_given_is_not_changed(secrets, beside):
    event = {"extra": {**secrets, "beside": beside}}
    before = json.dumps(event)
    Scrubber().event(event)
    assert json.dumps(event) == before


def test_an_event_keeps_what_it_is_for():
    event = {
        "event_id": "0" * 32,
        "level": "warning",
        "request": {
            "url": "https://shop.example.com/orders",
            "query_string": "page=2&token=hunter2",
            "headers": {"Accept": "*/*", "Authorization": "Bearer hunter2"},
            "data": {"items": 3, "card_number": "4111111111111111"},
        },
        "contexts": {"trace": {"trace_id": "1" * 32, "span_id": "2" * 16}},
        "extra": {"usage": {"input_tokens": 5, "gen_ai.usage.output_tokens": 7}},
    }
    assert Scrubber().event(event) == {
        **event,
        "request": {
            "url": "https://shop.example.com/orders",
            "query_string": "page=2&token=[Filtered]",
            "headers": {"Accept": "*/*", "Authorization": FILTERED},
            "data": {"items": 3, "card_number": FILTERED},
        },
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("a=1&password=x", "a=1&password=[Filtered]"),
        ('{"a": 1}', '{"a": 1}'),
        ('{"a": 1, "cut', FILTERED),
        ("just text", FILTERED),
        ("<xml>x</xml>", FILTERED),
        ("", ""),
    ],
)
def test_a_body_that_says_nothing_of_its_keys_is_left_out(body, expected):
    assert Scrubber().event({"request": {"data": body}})["request"]["data"] == expected


def test_a_password_that_is_a_word_does_not_change_the_form_of_the_event():
    event = {"level": "warning", "message": "no warning here", "extra": {"password": "warning", "token": "message"}}
    found = Scrubber().event(event)
    assert found["level"] == "warning"
    assert found["message"] == f"no {FILTERED} here"


def test_depth_and_circles_end():
    deep = {"a": "x"}
    for _ in range(2_000):
        deep = {"a": deep}
    assert FILTERED in json.dumps(Scrubber().event(deep))
    circle = {}
    circle["self"] = circle
    assert FILTERED in json.dumps(Scrubber().value(circle))


def test_numbers_under_secret_keys_are_found_elsewhere():
    found = Scrubber().event({"extra": {"otp": 493817}, "message": "code 493817", "contexts": {"x": {"n": 493817}}})
    assert found == {
        "extra": {"otp": FILTERED},
        "message": f"code {FILTERED}",
        "contexts": {"x": {"n": FILTERED}},
    }


def test_allowed_keys_stay():
    assert Scrubber(allowed=("next_token",)).value({"next_token": "abc", "token": "x"}) == {
        "next_token": "abc",
        "token": FILTERED,
    }


def test_of_a_pair_the_key_may_be_the_secret():
    assert Scrubber().value(["Bearer hunter2", "x"]) == [f"Bearer {FILTERED}", FILTERED]
