import pytest

from trackside.sdk.errors.sampling import traces_sampler

QUIET = frozenset(("/health", "/metrics"))


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        pytest.param({}, 0.25, id="nothing known"),
        pytest.param({"asgi_scope": {"path": "/pay"}}, 0.25, id="a request"),
        pytest.param({"asgi_scope": {"path": "/health"}}, 0.0, id="health"),
        pytest.param({"wsgi_environ": {"PATH_INFO": "/metrics"}}, 0.0, id="metrics, WSGI"),
        pytest.param({"parent_sampled": True}, 1.0, id="traced elsewhere"),
        pytest.param({"parent_sampled": False}, 0.0, id="not traced elsewhere"),
        pytest.param({"parent_sampled": True, "asgi_scope": {"path": "/health"}}, 0.0, id="health, traced elsewhere"),
        pytest.param({"asgi_scope": None, "wsgi_environ": 5}, 0.25, id="odd"),
    ],
)
def test_what_is_traced(about, expected):
    assert traces_sampler(0.25, QUIET)(about) == expected
