"""Why a request failed, in a sentence for whoever can act upon it."""

from __future__ import annotations

import errno
import socket
import ssl
import zlib
from collections.abc import Iterator

import httpx


def reason(error: BaseException) -> str:
    for cause in _causes(error):
        if (sentence := _sentence(cause)) is not None:
            return sentence
    text = str(error) or type(error).__name__
    if isinstance(error, httpx.RemoteProtocolError):
        return f"the answer is not HTTP, or was cut off: {text}"
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return f"this is no address to ask: {text}"
    return text


def _sentence(cause: BaseException) -> str | None:
    match cause:
        case ssl.SSLCertVerificationError():
            return (
                f"the target's certificate is not trusted ({cause.verify_message}); "
                "set tls_config.ca_file to the authority that signed it"
            )
        case ssl.SSLError():
            return f"no TLS with the target ({cause.reason or cause}); check scheme and port"
        case socket.gaierror():
            return f"the host name cannot be resolved ({cause.strerror or cause})"
        case OSError() if cause.errno == errno.ECONNREFUSED:
            return "connection refused: nothing listens on that port; is the service running?"
        case OSError() if cause.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
            return f"the host cannot be reached ({cause.strerror})"
        case OSError() if cause.errno in (errno.ECONNRESET, errno.EPIPE):
            return "the target closed the connection in the middle"
        case FileNotFoundError() | PermissionError():
            return f"a file with credentials cannot be read: {cause}"
        case zlib.error():
            return f"the packed answer cannot be unpacked: {cause}"
    return None


def _causes(error: BaseException, depth: int = 0) -> Iterator[BaseException]:
    """`error` and what led to it: clients wrap the reason, several times over when they tried several addresses."""
    if depth > 10:
        return
    yield error
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner, depth + 1)
    following = error.__cause__ or error.__context__
    if following is not None:
        yield from _causes(following, depth + 1)
