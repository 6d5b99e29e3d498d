"""Signatures of AWS, beside those of its own library."""

from datetime import UTC, datetime

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import example, given
from hypothesis import strategies as st

from trackside.server.receivers.delivery import FORM, Request
from trackside.server.receivers.http_config import HttpConfig
from trackside.server.receivers.sigv4 import Keys, Scope, canonical_path, signed

NOW_MS = 1_440_938_160_000
PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
PATHS = st.text(alphabet="ab/.~ é%+:@=&", max_size=20)
QUERIES = st.lists(st.tuples(st.text(alphabet="abA-._~ é%+", min_size=1), st.text(alphabet="abA ~é=&+")), max_size=4)


def theirs(request: Request, keys: Keys, scope: Scope, now_ms: int) -> str:
    url = httpx.URL(request.url)
    asked = AWSRequest(request.method, str(url), {"Content-Type": request.content_type}, request.body)
    asked.context["timestamp"] = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    signer = SigV4Auth(
        Credentials(keys.access_key, keys.secret_key, keys.session_token or None), scope.service, scope.region
    )
    signer._modify_request_before_signing(asked)
    told = signer.string_to_sign(asked, signer.canonical_request(asked))
    signer._inject_signature_to_request(asked, signer.signature(told, asked))
    return asked.headers["Authorization"]


ASKED = st.fixed_dictionaries(
    {
        "path": PATHS,
        "query": QUERIES,
        "body": st.binary(max_size=50),
        "keys": st.builds(Keys, PRINTABLE, PRINTABLE, st.one_of(st.just(""), PRINTABLE)),
        "scope": st.builds(Scope, st.sampled_from(["us-east-2", "cn-north-1"]), st.sampled_from(["sns", "sts"])),
        "port": st.sampled_from(["", ":443", ":8080"]),
        "method": st.sampled_from(["POST", "GET"]),
        "second": st.integers(0, 4_000_000_000),
    }
)
PLAIN = {"path": "", "query": [], "body": b"", "keys": Keys("A", "s"), "scope": Scope("us-east-2", "sns"), "port": ""}
PLAIN |= {"method": "POST", "second": 0}


@given(ASKED)
@example(PLAIN)
@example({**PLAIN, "path": "/a//b/../c/./", "query": [("b", "2"), ("a", "")], "port": ":443"})
def test_signatures_are_those_of_awss_own_library(asked):
    url = httpx.URL(f"https://sns.example.org{asked['port']}").copy_with(path=f"/{asked['path']}")
    query = f"?{httpx.QueryParams(asked['query'])}" if asked["query"] else ""
    request = Request(f"{url}{query}", asked["body"], HttpConfig(), FORM, method=asked["method"])
    keys, scope, now_ms = asked["keys"], asked["scope"], asked["second"] * 1000
    headers = signed(request, keys, scope, now_ms).headers
    assert headers["Authorization"] == theirs(request, keys, scope, now_ms)
    assert headers.get("X-Amz-Security-Token", "") == keys.session_token


def test_the_example_that_aws_publishes():
    request = Request("https://example.amazonaws.com/", b"Param1=value1", HttpConfig(), FORM)
    keys = Keys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    made = signed(request, keys, Scope("us-east-1", "service"), NOW_MS)
    assert made.headers == {
        "X-Amz-Date": "20150830T123600Z",
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        "SignedHeaders=content-type;host;x-amz-date, "
        "Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    }
    assert (made.url, made.body, made.content_type) == (request.url, request.body, request.content_type)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", "/"),
        ("/", "/"),
        ("//", "/"),
        ("/a/../..", "/"),
        ("/a/./b//c/", "/a/b/c/"),
        ("/a%20b", "/a%2520b"),
        ("/..", "/"),
    ],
)
def test_paths(path, expected):
    assert canonical_path(path) == expected


def test_keys_do_not_show_themselves():
    assert "secret" not in repr(Keys("AKIA", "secret-key", "secret-token"))
