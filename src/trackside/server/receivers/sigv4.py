"""AWS Signature Version 4: how a request shows that we know a secret key, without telling it."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import httpx

from trackside.server.receivers.delivery import Request

ALGORITHM = "AWS4-HMAC-SHA256"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Keys:
    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    """Of keys that were lent for some time; "" for those that belong to a user."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a signature is good for, apart from its day."""

    region: str
    service: str


def signed(request: Request, keys: Keys, scope: Scope, now_ms: int) -> Request:
    """The request with the headers that sign it. Its address, body and type must then stay as they are.

    Raises:
        httpx.InvalidURL: its address is none.
    """
    url = httpx.URL(request.url)
    moment = (_EPOCH + timedelta(milliseconds=now_ms)).strftime("%Y%m%dT%H%M%SZ")
    added = {"X-Amz-Date": moment}
    if keys.session_token:
        added["X-Amz-Security-Token"] = keys.session_token
    headers = {"Content-Type": request.content_type, "Host": url.netloc.decode("ascii"), **added}
    lines = {name.lower(): " ".join(value.split()) for name, value in sorted(headers.items())}
    path, _, query = url.raw_path.decode("ascii").partition("?")
    canonical = (
        request.method,
        canonical_path(path),
        canonical_query(query),
        *(f"{name}:{value}" for name, value in lines.items()),
        "",
        ";".join(lines),
        hashlib.sha256(request.body).hexdigest(),
    )
    place = f"{moment[:8]}/{scope.region}/{scope.service}/aws4_request"
    told = "\n".join((ALGORITHM, moment, place, hashlib.sha256("\n".join(canonical).encode()).hexdigest()))
    signature = hmac.new(_signing_key(keys.secret_key, place), told.encode(), hashlib.sha256).hexdigest()
    added["Authorization"] = (
        f"{ALGORITHM} Credential={keys.access_key}/{place}, SignedHeaders={';'.join(lines)}, Signature={signature}"
    )
    return replace(request, headers={**request.headers, **added})


def canonical_path(path: str) -> str:
    """Without dots and empty parts, and quoted once more: all services but S3 sign it so."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    end = "/" if parts and path.endswith("/") else ""
    return quote(f"/{'/'.join(parts)}{end}", safe="/-_.~")


def canonical_query(query: str) -> str:
    pairs = sorted(pair.partition("=")[::2] for pair in query.split("&")) if query else []
    return "&".join(f"{name}={value}" for name, value in pairs)


def _signing_key(secret_key: str, place: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in place.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
