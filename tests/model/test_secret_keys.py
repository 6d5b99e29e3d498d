import pytest

from trackside.model.secret_keys import SecretKeys

SECRET = [
    "password",
    "Password",
    "PASSWORD",
    "user_password",
    "passwordConfirmation",
    "password1",
    "db.password",
    "PGPASSWORD",
    "mysql_pwd",
    "authorization",
    "Authorization",
    "X-Authorization",
    "Proxy-Authorization",
    "authorizationHeader",
    "cookie",
    "Cookie",
    "set-cookie",
    "cookies",
    "X-Api-Key",
    "api_key",
    "apiKey",
    "apikey",
    "OPENAI_API_KEY",
    "x-goog-api-key",
    "token",
    "access_token",
    "accessToken",
    "refreshToken",
    "csrfmiddlewaretoken",
    "X-CSRFToken",
    "XSRF-TOKEN",
    "secret",
    "client_secret",
    "clientsecret",
    "SECRET_KEY",
    "secretKey",
    "aws_secret_access_key",
    "AWS_ACCESS_KEY_ID",
    "x-amz-security-token",
    "private_key",
    "privateKey",
    "signing_key",
    "passphrase",
    "credentials",
    "jwt",
    "sessionid",
    "PHPSESSID",
    "connect.sid",
    "ssn",
    "creditCardNumber",
    "card_number",
    "cvv",
    "user[password]",
    "session_key",
    "connection_string",
]
HARMLESS = [
    "author",
    "key",
    "keyboard",
    "monkey",
    "token_count",
    "input_tokens",
    "max_tokens",
    "gen_ai.usage.output_tokens",
    "tokens",
    "tokenizer",
    "secretary",
    "token_type",
    "cookie_consent",
    "password_length",
    "user_id",
    "session_id",
    "path",
    "status",
    "message",
    "passenger",
    "compass",
    "authenticated",
    "apikeys_total",
    "cookies_enabled",
    "primary_key",
    "foreign_key",
    "cache_key",
    "keys",
]


@pytest.mark.parametrize("key", SECRET)
def test_a_key_that_names_a_secret(key):
    assert key in SecretKeys()


@pytest.mark.parametrize("key", HARMLESS)
def test_a_key_that_names_none(key):
    assert key not in SecretKeys()


@pytest.mark.parametrize("key", ["tenant_pin", "tenantPin", "X-Tenant-Pin", "TENANT_PIN_2", "tenantpin"])
def test_further_keys_in_every_spelling(key):
    assert key in SecretKeys(("tenant_pin",))
    assert key not in SecretKeys()


@pytest.mark.parametrize("key", ["token", "Token", "TOKEN"])
def test_keys_that_are_allowed(key):
    assert key not in SecretKeys(allowed=("token",))
    assert f"access_{key}" in SecretKeys(allowed=("token",))


@pytest.mark.parametrize("key", ["", "x" * 100_000, "___", "\udcff", "пароль", 5, None], ids=lambda key: repr(key)[:20])
def test_odd_keys_are_harmless(key):
    assert key not in SecretKeys()


def test_keys_in_other_alphabets_can_be_added():
    assert "пароль" in SecretKeys(("Пароль",))
    assert "" not in SecretKeys(("", "-"))


def test_many_keys_are_not_kept():
    keys = SecretKeys()
    for number in range(10_000):
        assert f"field-{number}" not in keys
    assert len(keys._known) <= 4_096
