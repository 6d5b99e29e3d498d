"""One request to a receiver, and what its answer means for the notification."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

import httpx
from pydantic_core import PydanticSerializationError, to_json

from trackside.exceptions import DeliveryError
from trackside.server.receivers.credentials import credential_headers
from trackside.server.receivers.http_config import HttpConfig
from trackside.server.receivers.integration import ClientFor
from trackside.version import __version__

TIMEOUT_S = 30.0
MAX_ANSWER_BYTES = 256 << 10
MAX_REDIRECTS = 5
USER_AGENT = f"trackside/{__version__}"
GATEWAY_GAVE_UP = frozenset({502, 504})
"""What a proxy answers when it has lost the receiver, perhaps after it had passed the message on."""
_USUAL_HEADERS = {
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate",
    "Connection": "keep-alive",
    "User-Agent": USER_AGENT,
}
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Request:
    url: str
    body: bytes
    http: HttpConfig
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = TIMEOUT_S
    method: str = "POST"

    @classmethod
    def of_json(
        cls, url: str, body: object, http: HttpConfig, headers: Mapping[str, str] | None = None, timeout_ms: float = 0
    ) -> Request:
        """`timeout_ms` 0: as long as usual."""
        return cls(url, _json_bytes(body), http, headers=headers or {}, timeout_s=timeout_ms / 1000 or TIMEOUT_S)


def _json_bytes(body: object) -> bytes:
    # Twice as fast as the standard library's, which is only needed for halves of surrogate pairs.
    try:
        return to_json(body)
    except (PydanticSerializationError, UnicodeError):
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str

    def json(self) -> Mapping[str, object]:
        """Empty when it is no JSON object."""
        try:
            found = json.loads(self.text)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


async def post(client_for: ClientFor, request: Request) -> Answer:
    """
    Raises:
        DeliveryError: anything but a 2xx answer.
    """
    try:
        client = client_for(request.http)
        headers = httpx.Headers({**_USUAL_HEADERS, "Content-Type": request.content_type, **request.headers})
        headers.update(await credential_headers(request.http, client_for))
        async with asyncio.timeout(request.timeout_s):
            return await _asked(client, request, headers)
    except TimeoutError as error:
        raise DeliveryError(f"no answer within {request.timeout_s:g} s", retry=True, maybe_sent=True) from error
    except OSError as error:
        raise DeliveryError(f"a certificate or key cannot be used: {_first_line(error)}", retry=True) from error
    except httpx.HTTPError as error:
        raise unreachable(error, request.timeout_s) from error
    except httpx.InvalidURL as error:
        raise DeliveryError("the URL is not valid", retry=False) from error
    except (ValueError, OverflowError) as error:
        raise DeliveryError(
            "cannot be asked: an address, a header or a certificate is not valid", retry=False
        ) from error


async def _asked(client: httpx.AsyncClient, request: Request, headers: httpx.Headers) -> Answer:
    url = _parsed(request.url)
    extensions: dict[str, Any] = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), request.timeout_s)}
    if request.http.tls_config.server_name:
        extensions["sni_hostname"] = request.http.tls_config.server_name
    for _ in range(MAX_REDIRECTS + 1):
        # Made here and not by the client, which compares all that it says with what it says by default.
        asked = httpx.Request(
            request.method,
            url,
            content=request.body,
            headers=headers,
            extensions=extensions,
        )
        response = await client.send(asked, stream=True, follow_redirects=False)
        try:
            if not (response.is_redirect and request.http.follow_redirects):
                return await _answer(response)
            url = _redirected(response)
        finally:
            await response.aclose()
    raise DeliveryError(f"redirects more than {MAX_REDIRECTS} times", retry=False)


@lru_cache(maxsize=32)
def _parsed(url: str) -> httpx.URL:
    """
    Raises:
        httpx.InvalidURL: it is none.
    """
    return httpx.URL(url)


def _redirected(response: httpx.Response) -> httpx.URL:
    """Where to ask again. To another host we go only when that one is configured: it would get all the secrets."""
    before = response.request.url
    after = before.join(response.headers["Location"])
    if after.host != before.host or (before.scheme, after.scheme) == ("https", "http"):
        raise DeliveryError(f"redirects to {after.scheme}://{after.host}; configure that address itself", retry=False)
    if response.status_code not in (307, 308):
        raise DeliveryError(f"answered {response.status_code}, a redirect that loses the message", retry=False)
    return after


async def _answer(response: httpx.Response) -> Answer:
    body = b""
    async for part in response.aiter_bytes():
        body += part
        if len(body) >= MAX_ANSWER_BYTES:
            break
    text = body[:MAX_ANSWER_BYTES].decode("utf-8", "replace")
    if not response.is_success:
        raise _refused(response, text)
    return Answer(response.status_code, text)


def excerpt(text: str) -> str:
    """The beginning, on one line."""
    return " ".join(text[:2_000].split())[:200]


def _refused(response: httpx.Response, text: str) -> DeliveryError:
    status = response.status_code
    shown = excerpt(text)
    reason = f"answered {status} {response.reason_phrase}".rstrip() + (f": {shown}" if shown else "")
    may_succeed = status == 429 or status >= 500
    wait_s = _retry_after_s(response, text) if may_succeed else None
    maybe_sent = status in GATEWAY_GAVE_UP
    return DeliveryError(reason, retry=may_succeed, retry_after_s=wait_s, maybe_sent=maybe_sent, status=status)


def _retry_after_s(response: httpx.Response, body: str) -> float | None:
    """Seconds, or a date, which is compared with the receiver's own clock; or seconds within the answer's JSON."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - parsedate_to_datetime(response.headers["Date"])).total_seconds())
    except (KeyError, TypeError, ValueError):
        return _retry_after_in(Answer(response.status_code, body).json())


def _retry_after_in(answer: Mapping[str, object]) -> float | None:
    # Discord's and Telegram's ways to say it.
    parameters = answer.get("parameters")
    found = parameters.get("retry_after") if isinstance(parameters, dict) else answer.get("retry_after")
    return float(found) if isinstance(found, int | float) and 0 <= found < 1e9 else None


def unreachable(error: httpx.HTTPError, timeout_s: float) -> DeliveryError:
    match error:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return DeliveryError(f"no connection within {timeout_s:g} s", retry=True)
        case httpx.TimeoutException():
            return DeliveryError(f"no answer within {timeout_s:g} s", retry=True, maybe_sent=True)
        case httpx.ProxyError():
            return DeliveryError(f"the proxy refuses: {_first_line(error)}", retry=True)
        case httpx.ConnectError():
            return DeliveryError(connect_reason(error), retry=True)
        case httpx.LocalProtocolError():
            # Its own words may hold a password.
            return DeliveryError("a header has a character that cannot be sent, such as a line break", retry=False)
        case httpx.UnsupportedProtocol():
            return DeliveryError("the URL must begin with http:// or https://", retry=False)
    return DeliveryError(f"connection lost: {_first_line(error) or type(error).__name__}", retry=True, maybe_sent=True)


def connect_reason(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        cause = cause.__cause__ or cause.__context__
    return f"no connection: {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0]
