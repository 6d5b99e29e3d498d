"""The `auth` section: who besides the holders of our own keys may come in, and from where."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from trackside.server.access.roles import Role
from trackside.server.schema import Section

Network = IPv4Network | IPv6Network


def _network(value: Any) -> Network:
    try:
        return ip_network(str(value), strict=False)
    except ValueError:
        raise ValueError(f"not an address or a network such as 10.0.0.0/8: {value!r}") from None


Networks = tuple[Annotated[Any, BeforeValidator(_network)], ...]


class JwtConfig(Section):
    """Tokens of an identity provider: Supabase, or anything that speaks OpenID Connect."""

    issuer: str = ""
    """The claim `iss`, and where the keys are unless `jwks_url` says so: Supabase's is
    https://PROJECT.supabase.co/auth/v1."""
    jwks_url: str = ""
    secret: SecretStr = SecretStr("")
    """Of providers that sign by a shared secret (HS256), instead of published keys."""
    secret_file: str = ""
    audience: str = ""
    """The claim `aud`; Supabase's is "authenticated"."""
    role_claim: str = "app_metadata.role"
    """Where in the claims a role is, dots for levels. What users can write themselves, such as Supabase's
    `user_metadata`, is no place for it."""
    roles: dict[str, Role] = {}
    """Values of that claim, and what they may here."""
    emails: dict[str, Role] = {}
    """Addresses, and what they may here; the provider has to have verified them."""
    default_role: Role | None = None
    """Of everybody else with a valid token. Without it they are refused."""

    @model_validator(mode="after")
    def _sensible(self) -> JwtConfig:
        secret = bool(self.secret.get_secret_value()) + bool(self.secret_file)
        if secret > 1:
            raise ValueError("expected one of secret and secret_file, found both")
        if secret and self.jwks_url:
            raise ValueError("expected one of jwks_url and secret: a token is signed in one of both ways")
        if not secret and not self.jwks_url and not self.issuer:
            raise ValueError("expected issuer, jwks_url or secret: without one no token can be checked")
        if not self.roles and not self.emails and self.default_role is None:
            raise ValueError("expected roles, emails or default_role: without one nobody would be let in")
        return self

    @property
    def keys_url(self) -> str:
        return self.jwks_url or f"{self.issuer.rstrip('/')}/.well-known/jwks.json"


class AuthConfig(Section):
    allow_from: Networks = ()
    """Only these addresses are answered, whatever key they have; health endpoints answer everybody."""
    trusted_proxies: Networks = ()
    """Whose X-Forwarded-For is believed."""
    jwt: JwtConfig | None = Field(default=None)
