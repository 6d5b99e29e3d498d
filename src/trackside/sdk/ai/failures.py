"""Sorts what goes wrong in a query into a few kinds, the same for every provider."""

from __future__ import annotations

from typing import Final

from trackside.sdk.ai.tokens import field

CUT_OFF: Final = "cut_off"
"""The stream ended before the provider said that it was through."""

_BY_STATUS = {
    400: "bad_request",
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    422: "bad_request",
    429: "rate_limit",
    504: "timeout",
    529: "overloaded",
}
_BY_TYPE = {
    "invalid_request_error": "bad_request",
    "authentication_error": "authentication",
    "billing_error": "billing",
    "permission_error": "permission",
    "not_found_error": "not_found",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limit",
    "rate_limit_exceeded": "rate_limit",
    "insufficient_quota": "rate_limit",
    "timeout_error": "timeout",
    "api_error": "server_error",
    "server_error": "server_error",
    "overloaded_error": "overloaded",
}
"""What providers write in the body, which is all there is when a stream fails after its status was sent."""


def error_kind(error: BaseException) -> str:
    """Of an exception of a provider's library or of anything else; "other" for what is none of theirs."""
    status = field(error, "status_code")
    if isinstance(status, int) and status >= 400:
        return _BY_STATUS.get(status) or ("server_error" if status >= 500 else "bad_request")
    named = type_kind(field(error, "body")) or type_kind(error)
    if named:
        return named
    names = [kind.__name__.lower() for kind in type(error).__mro__]
    if isinstance(error, TimeoutError) or any("timeout" in name for name in names):
        return "timeout"
    if "remoteprotocolerror" in names or "incompleteread" in names:
        return CUT_OFF
    if isinstance(error, ConnectionError) or any("connect" in name or "network" in name for name in names):
        return "connection"
    return "other"


def type_kind(body: object) -> str:
    """Of the body of an error, {"error": {"type": …}} or the inner part of it; "" when it says nothing known."""
    inner = field(body, "error") or body
    for name in ("type", "code"):
        text = field(inner, name)
        if isinstance(text, str) and text in _BY_TYPE:
            return _BY_TYPE[text]
    return ""


def is_cancelled(error: BaseException) -> bool:
    """The caller lost interest, which is no failure of the provider: a cancelled task, a closed generator, an exit."""
    return not isinstance(error, Exception)
