"""Tokens made by the real library with real keys, and the ways in which they are forged."""

import asyncio
import base64
import hmac
import json

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import ValidationError

from trackside.server.access.config import AuthConfig, JwtConfig
from trackside.server.access.provider_keys import FRESH_MS, RETRY_MS, ProviderKeys
from trackside.server.access.roles import Role
from trackside.server.access.tokens import MAX_TOKEN_CHARS, Tokens, looks_like_token

ISSUER = "https://project.supabase.example/auth/v1"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def published(*pairs):
    keys = []
    for kid, key in pairs:
        algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
        keys.append(json.loads(algorithm.to_jwk(key.public_key())) | {"kid": kid, "use": "sig"})
    return {"keys": keys}


class Provider:
    """What answers at the provider's address."""

    def __init__(self, *pairs):
        self.pairs = list(pairs)
        self.asked = []
        self.status = 200

    def __call__(self, request):
        self.asked.append(str(request.url))
        return httpx.Response(self.status, json=published(*self.pairs))


@pytest.fixture
def provider():
    return Provider(("rsa", RSA), ("ec", EC))


@pytest.fixture
def tokens(provider, clock):
    def of(**options):
        config = JwtConfig(**{"issuer": ISSUER, "audience": "authenticated", "roles": {"staff": "operator"}, **options})
        client = httpx.AsyncClient(transport=httpx.MockTransport(provider))
        return Tokens(config, ProviderKeys(config.keys_url, client, clock), clock)

    return of


@pytest.fixture
def claims(clock):
    now_s = clock.now_ms() // 1000

    def of(**changes):
        usual = {
            "iss": ISSUER,
            "aud": "authenticated",
            "sub": "u-1",
            "email": "anna@example.com",
            "iat": now_s,
            "exp": now_s + 3600,
            "app_metadata": {"role": "staff"},
        }
        return {name: value for name, value in {**usual, **changes}.items() if value is not None}

    return of


def signed(claims, key=RSA, kid="rsa", algorithm="RS256"):
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid})


def who(tokens, token):
    return asyncio.run(tokens.identity(token))


@pytest.mark.parametrize(("key", "kid", "algorithm"), [(RSA, "rsa", "RS256"), (EC, "ec", "ES256")])
def test_a_token_of_the_provider_says_who_it_is(tokens, claims, key, kid, algorithm):
    found = who(tokens(), signed(claims(), key, kid, algorithm))
    assert (found.name, found.role, found.by_cookie) == ("anna@example.com", Role.OPERATOR, False)


def test_the_keys_are_fetched_once_and_where_the_issuer_has_them(tokens, claims, provider):
    one = tokens()
    for number in range(3):
        assert who(one, signed(claims(jti=str(number))))
    assert provider.asked == [f"{ISSUER}/.well-known/jwks.json"]


def none_token(claims):
    parts = [{"alg": "none", "typ": "JWT", "kid": "rsa"}, claims]
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


def confused(claims):
    """Signed by HMAC with what everybody knows, the public key."""
    key = json.dumps(published(("rsa", RSA))["keys"][0]).encode()
    parts = [{"alg": "HS256", "typ": "JWT", "kid": "rsa"}, claims]
    note = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts)
    signature = base64.urlsafe_b64encode(hmac.new(key, note, "sha256").digest()).rstrip(b"=")
    return (note + b"." + signature).decode()


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(lambda claims, now_s: signed(claims(), OTHER), id="another key"),
        pytest.param(lambda claims, now_s: signed(claims(), OTHER, kid="unknown"), id="a key that nobody publishes"),
        pytest.param(lambda claims, now_s: none_token(claims()), id="no signature"),
        pytest.param(lambda claims, now_s: confused(claims()), id="the public key as a secret"),
        pytest.param(lambda claims, now_s: signed(claims(exp=now_s - 31)), id="over"),
        pytest.param(lambda claims, now_s: signed(claims(exp=None)), id="without an end"),
        pytest.param(lambda claims, now_s: signed(claims(exp="never")), id="an end that is none"),
        pytest.param(lambda claims, now_s: signed(claims(nbf=now_s + 31)), id="not yet"),
        pytest.param(lambda claims, now_s: signed(claims(iss="https://evil.example")), id="another issuer"),
        pytest.param(lambda claims, now_s: signed(claims(iss=None)), id="no issuer"),
        pytest.param(lambda claims, now_s: signed(claims(aud="anon")), id="another audience"),
        pytest.param(lambda claims, now_s: signed(claims(app_metadata={"role": "guest"})), id="a role for nothing"),
        pytest.param(lambda claims, now_s: signed(claims(app_metadata="staff")), id="no place for a role"),
        pytest.param(lambda claims, now_s: signed(claims(user_metadata={"role": "staff"}, app_metadata={})), id="own"),
        pytest.param(lambda claims, now_s: signed(claims())[:-3] + "abc", id="a changed signature"),
        pytest.param(lambda claims, now_s: "eyJ.a.b", id="garbage"),
        pytest.param(lambda claims, now_s: "eyJ" + "é" * 50 + "..", id="no ASCII"),
        pytest.param(lambda claims, now_s: signed(claims(more="x" * MAX_TOKEN_CHARS)), id="huge"),
    ],
)
def test_what_is_no_valid_token_is_nobody(tokens, claims, clock, forged):
    assert who(tokens(), forged(claims, clock.now_ms() // 1000)) is None


@pytest.mark.parametrize(
    ("options", "changes", "role"),
    [
        ({"roles": {"staff": "viewer", "boss": "admin"}}, {"app_metadata": {"role": ["staff", "boss"]}}, Role.ADMIN),
        ({"roles": {}, "emails": {"Anna@Example.com": "operator"}}, {}, Role.OPERATOR),
        ({"roles": {}, "emails": {"anna@example.com": "operator"}}, {"email_verified": False}, None),
        ({"roles": {}, "default_role": "viewer"}, {"app_metadata": None}, Role.VIEWER),
        ({"role_claim": "groups", "roles": {"ops": "operator"}}, {"groups": ["dev", "ops"]}, Role.OPERATOR),
        ({"role_claim": "groups", "roles": {"ops": "operator"}}, {"groups": [1, {}]}, None),
    ],
)
def test_the_role_is_the_highest_that_is_given(tokens, claims, options, changes, role):
    found = who(tokens(**options), signed(claims(**changes)))
    assert (found and found.role) == role


def test_a_token_that_was_valid_ends_in_time(tokens, claims, clock):
    one = tokens()
    token = signed(claims())
    assert who(one, token)
    clock.time_ms += 3_700_000
    assert who(one, token) is None


def test_a_shared_secret(claims, clock, tmp_path):
    (tmp_path / "secret").write_text("s" * 40 + "\n")
    one = Tokens(JwtConfig(secret_file="secret", roles={"staff": "viewer"}), None, clock, tmp_path)

    assert who(one, jwt.encode(claims(), "s" * 40, "HS256")).role is Role.VIEWER
    assert who(one, jwt.encode(claims(), "t" * 40, "HS256")) is None
    assert who(one, signed(claims())) is None


class TestProviderKeys:
    def test_a_new_key_is_fetched_when_it_is_first_used(self, tokens, claims, provider, clock):
        one = tokens()
        assert who(one, signed(claims()))
        provider.pairs = [("new", OTHER)]
        clock.time_ms += RETRY_MS + 1
        assert who(one, signed(claims(), OTHER, "new"))

    def test_invented_key_ids_do_not_make_us_ask_each_time(self, tokens, claims, provider):
        one = tokens()
        for number in range(50):
            assert who(one, signed(claims(), OTHER, f"k{number}")) is None
        assert len(provider.asked) == 1

    def test_a_provider_that_is_away_for_a_while_locks_nobody_out(self, tokens, claims, provider, clock):
        one = tokens()
        assert who(one, signed(claims()))
        provider.status = 500
        clock.time_ms += FRESH_MS + RETRY_MS
        assert who(one, signed(claims(jti="other")))
        assert "500" in one._keys.error

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"keys": 1}', b'{"keys": [{}]}', b"x" * 300_000])
    def test_an_answer_that_is_none_is_an_error(self, body, clock):
        client = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(200, content=body)))
        keys = ProviderKeys("https://p.example/keys", client, clock)
        assert asyncio.run(keys.key("rsa")) is None
        assert keys.error.startswith("https://p.example/keys: ")


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ({"roles": {"a": "viewer"}}, "issuer, jwks_url or secret"),
        ({"issuer": ISSUER}, "nobody would be let in"),
        ({"issuer": ISSUER, "roles": {"a": "boss"}}, "viewer"),
        ({"secret": "a", "secret_file": "b", "default_role": "viewer"}, "one of secret and secret_file"),
        ({"secret": "a", "jwks_url": "https://b", "default_role": "viewer"}, "one of jwks_url and secret"),
    ],
)
def test_a_section_that_makes_no_sense_says_so(section, reason):
    with pytest.raises(ValidationError, match=reason):
        JwtConfig(**section)


def test_addresses_and_networks_are_checked():
    assert len(AuthConfig(allow_from=["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]).allow_from) == 3
    with pytest.raises(ValidationError, match="not an address or a network"):
        AuthConfig(allow_from=["office"])


@pytest.mark.parametrize(("text", "is_one"), [("eyJh.b.c", True), ("ts_abc", False), ("eyJh.b", False), ("", False)])
def test_what_looks_like_a_token(text, is_one):
    assert looks_like_token(text) is is_one
