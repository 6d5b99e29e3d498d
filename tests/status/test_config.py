import pytest

from trackside.server.status.config import StatusPageConfig


def configured(**keys):
    return StatusPageConfig.model_validate(keys)


API = {"name": "API", "check": "api"}
WRONG = [
    ({"components": [{"name": "API"}]}, "'API' needs one of check, heartbeat and expr"),
    ({"components": [{"name": "API", "check": "a", "expr": "up"}]}, "needs one of"),
    ({"components": [{"name": "", "check": "a"}]}, "a component needs one"),
    ({"components": [{"name": "API", "expr": "sum(("}]}, "not PromQL"),
    ({"components": [API, {**API, "name": "api"}]}, "'api' and 'API' would have the same address"),
    (
        {"components": [API], "incidents": [{"alert": "X", "title": "Y", "components": ["Web"]}]},
        "'Web' is no component",
    ),
    ({"domain": "https://status.example.com"}, "not a host name"),
    ({"site": "javascript:alert(1)"}, "expected an address that begins with https"),
    ({"days": 3}, "greater than or equal to 7"),
    ({"components": [{"name": f"c{i}", "check": "a"} for i in range(201)]}, "201 are more than a page can show"),
]


@pytest.mark.parametrize(("keys", "text"), WRONG, ids=[row[1][:40] for row in WRONG])
def test_mistakes_say_what_was_expected(keys, text):
    with pytest.raises(ValueError, match=text):
        configured(**keys)


@pytest.mark.parametrize(
    ("name", "slug"), [("API", "api"), ("Web & App", "web-app"), ("支付", "xe694afe4bb98"), ("Été 24", "t-24")]
)
def test_every_name_has_an_address(name, slug):
    assert configured(components=[{"name": name, "check": "a"}]).components[0].slug == slug
