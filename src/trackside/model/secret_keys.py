"""Which keys name a secret: by the words they are made of, so that `accessToken` does and `max_tokens` does not."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")
_SECRET_WORDS = frozenset(
    [
        "authorization",
        "bearer",
        "cookie",
        "cookies",
        "credential",
        "credentials",
        "csrf",
        "cvc",
        "cvv",
        "jwt",
        "otp",
        "passcode",
        "passphrase",
        "passwd",
        "password",
        "passwords",
        "pgpassword",
        "pwd",
        "secret",
        "secrets",
        "sessionid",
        "ssn",
        "token",
        "totp",
        "xsrf",
    ]
)
# Within a word that has no boundaries: PHPSESSID, clientsecret, csrfmiddlewaretoken.
_SECRET_PARTS = ("password", "passwd", "passphrase", "apikey", "authorization", "credential", "sessid", "privatekey")
_SECRET_ENDINGS = ("secret", "token", "accesskey", "secretkey", "cookie")
_SECRET_PAIRS = frozenset(
    (
        ("access", "key"),
        ("account", "key"),
        ("api", "key"),
        ("auth", "key"),
        ("card", "number"),
        ("connection", "string"),
        ("connect", "sid"),
        ("credit", "card"),
        ("encryption", "key"),
        ("master", "key"),
        ("private", "key"),
        ("secret", "key"),
        ("service", "key"),
        ("session", "key"),
        ("signing", "key"),
        ("storage", "key"),
    )
)
# "token_count", "token_type", "cookie_consent" say something about a secret and are none.
_ABOUT = frozenset(
    [
        "age",
        "budget",
        "consent",
        "cost",
        "count",
        "counts",
        "enabled",
        "expires",
        "expiry",
        "kind",
        "length",
        "limit",
        "max",
        "min",
        "name",
        "names",
        "per",
        "policy",
        "present",
        "rate",
        "size",
        "strategy",
        "total",
        "ttl",
        "type",
        "types",
        "usage",
        "used",
        "valid",
    ]
)
_MAX_KNOWN = 4_096


class SecretKeys:
    """Of the usual names, and of those an application adds."""

    def __init__(self, more: Iterable[str] = (), allowed: Iterable[str] = ()) -> None:
        """`more` are secret too, as whole words anywhere in a key: "tenant_pin" is "X-Tenant-Pin" and "tenantPin2".
        `allowed` are not, whatever they are made of. Case and separators do not matter."""
        self._more = tuple(found for found in (words_of(key) for key in more) if found)
        self._allowed = frozenset(_joined(key) for key in allowed)
        self._known: dict[str, bool] = {}

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, str):
            return False
        known = self._known.get(key)
        if known is None:
            known = self._is_secret(key[:256])
            if len(self._known) < _MAX_KNOWN and len(key) <= 256:
                self._known[key] = known
        return known

    def _is_secret(self, key: str) -> bool:
        if _joined(key) in self._allowed:
            return False
        words = words_of(key)
        if any(_within(more, words) for more in self._more):
            return True
        if words and words[-1] in _ABOUT:
            return False
        return any(map(_is_secret_word, words)) or any(pair in _SECRET_PAIRS for pair in pairwise(words))


def is_secret_pair(items: Sequence[Any], keys: Container[str]) -> bool:
    """`("Authorization", "…")`, as lists of headers and parameters have it."""
    return len(items) == 2 and isinstance(items[0], str) and items[0] in keys


def names_secret_value(mapping: Mapping[Any, Any], keys: Container[str]) -> bool:
    """`{"name": "Authorization", "value": …}`, as header lists and OTLP attributes have it."""
    name = mapping.get("name", mapping.get("key")) if "value" in mapping else None
    return isinstance(name, str) and name in keys


def words_of(key: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in _WORDS.findall(key))


def _joined(key: str) -> str:
    return "".join(words_of(key))


def _within(some: tuple[str, ...], words: tuple[str, ...]) -> bool:
    size = len(some)
    return "".join(some) in words or any(words[at : at + size] == some for at in range(len(words) - size + 1))


def _is_secret_word(word: str) -> bool:
    return word in _SECRET_WORDS or word.endswith(_SECRET_ENDINGS) or any(part in word for part in _SECRET_PARTS)
