"""A token for a receiver that wants OAuth 2.0: asked for with each message, since messages are rare."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import httpx

from trackside.exceptions import DeliveryError
from trackside.server.receivers.http_config import CLIENT_CREDENTIALS, HttpConfig, OAuth2
from trackside.server.receivers.integration import ClientFor
from trackside.server.receivers.secret import NO_MANAGER, Secret

TIMEOUT_S = 10.0
MAX_BYTES = 64 << 10
NO_JWT = (
    "the grant by a signed token (JWT) is not done here; use grant_type client_credentials with a client_secret or "
    "client_secret_file"
)


async def access_token(oauth: OAuth2, http: HttpConfig, client_for: ClientFor) -> str:
    """The value of the header: "Bearer …".

    Raises:
        DeliveryError: there is none.
        OSError, ValueError: a certificate or key cannot be used.
    """
    if oauth.grant_type != CLIENT_CREDENTIALS:
        raise DeliveryError(f"oauth2: {NO_JWT}", retry=False)
    if oauth.client_secret_ref:
        raise DeliveryError(f"oauth2: {NO_MANAGER}", retry=False)
    secret = await Secret(oauth.client_secret, oauth.client_secret_file).read()
    asked = {"grant_type": CLIENT_CREDENTIALS, **oauth.endpoint_params}
    if oauth.scopes:
        asked["scope"] = " ".join(oauth.scopes)
    way = HttpConfig(
        tls_config=oauth.tls_config,
        proxy_url=oauth.proxy_url,
        no_proxy=oauth.no_proxy,
        proxy_from_environment=oauth.proxy_from_environment,
        proxy_connect_header=oauth.proxy_connect_header,
        enable_http2=http.enable_http2,
    )
    try:
        response = await client_for(way).post(
            oauth.token_url,
            content=urlencode(asked).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            auth=httpx.BasicAuth(oauth.client_id, secret),
            timeout=TIMEOUT_S,
            follow_redirects=False,
        )
    except httpx.HTTPError as error:
        raise DeliveryError(f"oauth2: no token: {type(error).__name__}", retry=True) from error
    if not response.is_success:
        may_succeed = response.status_code == 429 or response.status_code >= 500
        raise DeliveryError(f"oauth2: the token was refused: {response.status_code}", retry=may_succeed)
    return _header(response.content[:MAX_BYTES])


def _header(body: bytes) -> str:
    try:
        answer = json.loads(body)
        token, kind = answer["access_token"], answer.get("token_type") or "Bearer"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DeliveryError("oauth2: the answer holds no access_token", retry=True) from error
    return f"{'Bearer' if str(kind).lower() == 'bearer' else kind} {token}"
