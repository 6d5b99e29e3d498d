"""One POST to a receiver, and what its answer means for the notification."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from trackside.exceptions import DeliveryError
from trackside.server.receivers.http_config import HttpConfig

TIMEOUT_S = 10.0
MAX_ANSWER_BYTES = 2_048


@dataclass(frozen=True, slots=True)
class Request:
    url: str
    json: object
    http: HttpConfig
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Secret:
    """A value from the configuration, or the file that holds it, read at each use so that it can be rotated."""

    value: str | None
    file: str | None

    async def read(self) -> str:
        if self.file is None:
            return self.value or ""
        try:
            text = await asyncio.to_thread(Path(self.file).read_text, encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DeliveryError(f"cannot read {self.file}: {error}", retry=True) from error
        return text.strip()


async def post(client: httpx.AsyncClient, request: Request) -> str:
    """The beginning of the answer, on one line.

    Raises:
        DeliveryError: anything but a 2xx answer.
    """
    try:
        headers = {**request.headers, **await _authorization(request.http)}
        async with client.stream(
            "POST",
            request.url,
            json=request.json,
            headers=headers,
            timeout=request.timeout_s,
            follow_redirects=False,
        ) as response:
            excerpt = await _excerpt(response)
            if not response.is_success:
                raise _refused(response, excerpt)
            return excerpt
    except httpx.HTTPError as error:
        raise _unreachable(error, request.timeout_s) from error
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise DeliveryError(f"cannot be asked: {error}", retry=False) from error


async def _authorization(config: HttpConfig) -> dict[str, str]:
    basic, other = config.basic_auth, config.authorization
    if basic is not None:
        password = await Secret(basic.password, basic.password_file).read()
        token = b64encode(f"{basic.username}:{password}".encode()).decode()
        return {"Authorization": f"Basic {token}"}
    if other is not None:
        credentials = await Secret(other.credentials, other.credentials_file).read()
        return {"Authorization": f"{other.type} {credentials}"}
    return {}


async def _excerpt(response: httpx.Response) -> str:
    body = b""
    async for part in response.aiter_bytes():
        body += part
        if len(body) >= MAX_ANSWER_BYTES:
            break
    return " ".join(body[:MAX_ANSWER_BYTES].decode("utf-8", "replace").split())[:200]


def _refused(response: httpx.Response, excerpt: str) -> DeliveryError:
    status = response.status_code
    reason = f"answered {status} {response.reason_phrase}".rstrip() + (f": {excerpt}" if excerpt else "")
    may_succeed = status == 429 or status >= 500
    return DeliveryError(reason, retry=may_succeed, retry_after_s=_retry_after_s(response) if may_succeed else None)


def _retry_after_s(response: httpx.Response) -> float | None:
    """Seconds, or a date, which is compared with the receiver's own clock."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - parsedate_to_datetime(response.headers["Date"])).total_seconds())
    except (KeyError, TypeError, ValueError):
        return None


def _unreachable(error: httpx.HTTPError, timeout_s: float) -> DeliveryError:
    match error:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return DeliveryError(f"no connection within {timeout_s:g} s", retry=True)
        case httpx.TimeoutException():
            return DeliveryError(f"no answer within {timeout_s:g} s", retry=True, maybe_sent=True)
        case httpx.ConnectError():
            return DeliveryError(_connect_reason(error), retry=True)
        case httpx.UnsupportedProtocol():
            return DeliveryError("the URL must begin with http:// or https://", retry=False)
    return DeliveryError(f"connection lost: {error or type(error).__name__}", retry=True, maybe_sent=True)


def _connect_reason(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        cause = cause.__cause__ or cause.__context__
    return f"no connection: {error}"
