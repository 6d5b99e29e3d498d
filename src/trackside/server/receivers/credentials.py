"""How we log in at a receiver: the headers that its `http_config` asks for."""

from __future__ import annotations

from base64 import b64encode

from trackside.exceptions import DeliveryError
from trackside.server.receivers.http_config import BasicAuth, HttpConfig
from trackside.server.receivers.integration import ClientFor
from trackside.server.receivers.oauth import access_token
from trackside.server.receivers.secret import NO_MANAGER, Secret, read_file


async def credential_headers(http: HttpConfig, client_for: ClientFor) -> dict[str, str]:
    """
    Raises:
        DeliveryError: a secret cannot be read, or a token cannot be had.
    """
    headers = await _more_headers(http)
    if http.basic_auth is not None:
        headers["Authorization"] = await _basic(http.basic_auth)
    elif http.authorization is not None:
        given = http.authorization
        if given.credentials_ref:
            raise DeliveryError(f"authorization: {NO_MANAGER}", retry=False)
        credentials = await Secret(given.credentials, given.credentials_file).read()
        headers["Authorization"] = f"{given.type or 'Bearer'} {credentials}"
    elif http.bearer_token or http.bearer_token_file:
        headers["Authorization"] = f"Bearer {await Secret(http.bearer_token, http.bearer_token_file).read()}"
    elif http.oauth2 is not None:
        headers["Authorization"] = await access_token(http.oauth2, http, client_for)
    return headers


async def _basic(auth: BasicAuth) -> str:
    if auth.username_ref or auth.password_ref:
        raise DeliveryError(f"basic_auth: {NO_MANAGER}", retry=False)
    username = (await read_file(auth.username_file)).strip() if auth.username_file else auth.username
    password = await Secret(auth.password, auth.password_file).read()
    return f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"


async def _more_headers(http: HttpConfig) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, given in http.http_headers.items():
        values = [*given.values, *(secret.get_secret_value() for secret in given.secrets)]
        values += [(await read_file(file)).strip() for file in given.files]
        headers[name] = ", ".join(values)
    return headers
