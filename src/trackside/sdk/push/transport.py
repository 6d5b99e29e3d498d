"""One request to a receiver, and what it means for what was sent. The only module of the push that does I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from trackside.sdk.push.destination import Destination
from trackside.version import __version__
from trackside.wire.remote_write import HEADERS

TIMEOUT_S = 5.0
_TOO_MANY = 429
_REASON_LENGTH = 200


class Outcome(NamedTuple):
    taken: bool
    again: bool = False
    """Not taken, and trying again may help."""
    reason: str = ""
    retry_after_s: float = 0.0
    """How long the receiver asked us to wait; 0 when it did not say."""


Post = Callable[[Destination, bytes], Outcome]
"""Never raises."""


def post(destination: Destination, body: bytes) -> Outcome:
    # Not before the first push: these modules cost an application more than all of ours.
    from http.client import HTTPException  # noqa: PLC0415 - see above
    from urllib.error import HTTPError  # noqa: PLC0415 - see above
    from urllib.request import Request  # noqa: PLC0415 - see above

    headers = {**HEADERS, "User-Agent": f"trackside/{__version__}", **destination.headers}
    request = Request(destination.url, body, headers, method="POST")
    try:
        with _opener().open(request, timeout=TIMEOUT_S) as answer:
            answer.read(1)
        return Outcome(True)
    except HTTPError as error:
        return _refused(error.code, error.headers.get("Retry-After", ""), _reason(error))
    except (OSError, HTTPException) as error:
        return Outcome(False, True, f"{type(error).__name__}: {error}"[:_REASON_LENGTH])
    except ValueError as error:
        # A header or an address that cannot be written, which trying again does not change.
        return Outcome(False, False, f"{type(error).__name__}: {error}"[:_REASON_LENGTH])


def _reason(error: Any) -> bytes:
    """What the receiver says, as far as it comes: one in trouble may stop in the middle."""
    from http.client import HTTPException  # noqa: PLC0415 - see `post`

    try:
        with error:
            return bytes(error.read(_REASON_LENGTH))
    except (OSError, HTTPException, ValueError):
        return b""


def _refused(status: int, retry_after: str, body: bytes) -> Outcome:
    """What is wrong with a request (4xx, a redirection) stays wrong; what is wrong with the receiver may pass."""
    again = status >= 500 or status in (_TOO_MANY, 408)
    wait_s = float(retry_after) if retry_after.isascii() and retry_after.isdecimal() else 0.0
    reason = f"{status} {' '.join(body.decode('utf-8', 'replace').split())}"
    return Outcome(False, again, reason[:_REASON_LENGTH].rstrip(), wait_s)


def _opener() -> Any:
    """Heeds the proxies of the environment. Follows no redirection: a POST would arrive as a GET."""
    from urllib.request import HTTPRedirectHandler, build_opener  # noqa: PLC0415 - see `post`

    class NoRedirection(HTTPRedirectHandler):
        def redirect_request(self, *about: Any) -> None:
            return None

    return build_opener(NoRedirection)
