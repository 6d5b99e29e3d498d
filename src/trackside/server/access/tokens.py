"""JSON web tokens of an identity provider: whose they are, and what that allows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from trackside.server.access.config import JwtConfig
from trackside.server.access.provider_keys import ProviderKeys
from trackside.server.access.roles import Identity, Role
from trackside.server.clock import Clock

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
MAX_TOKEN_CHARS = 8_192
LEEWAY_S = 30
MAX_REMEMBERED = 1_000


class Tokens:
    """Checks tokens. The signature of one is checked once, its end at each request."""

    def __init__(self, config: JwtConfig, keys: ProviderKeys | None, clock: Clock, directory: Path = Path()) -> None:
        """`keys` is needed unless there is a secret. `directory` is what `secret_file` is relative to."""
        self._config, self._keys, self._clock = config, keys, clock
        secret = config.secret.get_secret_value()
        if config.secret_file:
            secret = (directory / config.secret_file).read_text().strip()
        self._secret = secret
        self._remembered: OrderedDict[bytes, tuple[int, Identity]] = OrderedDict()

    async def identity(self, token: str) -> Identity | None:
        """None: it is not valid, over, or its owner may nothing here."""
        if len(token) > MAX_TOKEN_CHARS:
            return None
        digest = sha256(token.encode("utf-8", "surrogatepass")).digest()
        now_s = self._clock.now_ms() // 1000
        known = self._remembered.get(digest)
        if known is not None:
            if now_s <= known[0] + LEEWAY_S:
                return known[1]
            del self._remembered[digest]
            return None
        claims = await self._claims(token, now_s)
        role = None if claims is None else self._role(claims)
        if claims is None or role is None:
            return None
        identity = Identity(0, str(claims.get("email") or claims.get("sub") or "somebody"), role, by_cookie=False)
        self._remembered[digest] = (int(claims["exp"]), identity)
        while len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return identity

    async def _claims(self, token: str, now_s: int) -> Mapping[str, Any] | None:
        import jwt  # noqa: PLC0415 - with all of its cryptography, for those who have an identity provider

        config = self._config
        try:
            if self._secret:
                key, algorithms = self._secret, ["HS256", "HS384", "HS512"]
            else:
                # The header is the token's own word: it chooses among the provider's keys, and no algorithm.
                found = await self._keys.key(jwt.get_unverified_header(token).get("kid")) if self._keys else None
                if found is None:
                    return None
                key, algorithms = found, ALGORITHMS
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=algorithms,
                audience=config.audience or None,
                issuer=config.issuer or None,
                options={
                    "require": ["exp"],
                    "verify_aud": bool(config.audience),
                    "verify_iss": bool(config.issuer),
                    # By our clock, below: the library reads the machine's.
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
            not_before = float(claims.get("nbf", 0))
            return claims if not_before - LEEWAY_S <= now_s <= float(claims["exp"]) + LEEWAY_S else None
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
            return None

    def _role(self, claims: Mapping[str, Any]) -> Role | None:
        config = self._config
        value: Any = claims
        for level in config.role_claim.split("."):
            value = value.get(level) if isinstance(value, Mapping) else None
        said = {value} if isinstance(value, str) else set(value) if _is_texts(value) else set()
        email = str(claims.get("email", "")).lower()
        by_email = {address.lower(): role for address, role in config.emails.items()}
        # Providers without the claim verify before they issue; one that says "not verified" is believed.
        verified = claims.get("email_verified", True) is not False
        roles = [role for name, role in config.roles.items() if name in said]
        if verified and email in by_email:
            roles.append(by_email[email])
        if config.default_role is not None:
            roles.append(config.default_role)
        allowed = [role for role in (Role.ADMIN, Role.OPERATOR, Role.VIEWER) if role in roles]
        return allowed[0] if allowed else None


def looks_like_token(text: str) -> bool:
    """Three parts of base64 whose first begins with {": no key of ours does."""
    return text.startswith("eyJ") and text.count(".") == 2


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
