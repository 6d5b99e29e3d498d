"""A mail to a mail server: TLS, logging in, and what its refusals mean. Blocks, so it runs on a thread."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import ipaddress
import smtplib
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from trackside.exceptions import DeliveryError
from trackside.server.receivers.delivery import connect_reason, excerpt
from trackside.server.receivers.mail import Mail

TIMEOUT_S = 25.0


@dataclass(frozen=True, slots=True)
class Login:
    username: str
    password: str = field(repr=False)
    secret: str = field(repr=False)
    """For CRAM-MD5."""
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Smarthost:
    host: str
    port: str
    hello: str
    implicit_tls: bool
    """TLS from the first byte; else after STARTTLS, if it is required."""
    require_tls: bool
    context: Callable[[], ssl.SSLContext]
    server_name: str = ""
    login: Login | None = None


class _Progress:
    """How far it came: what fails after the end of the message may have been taken all the same."""

    handed_over = False


def deliver(mail: Mail, host: Smarthost) -> None:
    """
    Raises:
        DeliveryError: the server did not take it.
    """
    content = mail.content()
    progress = _Progress()
    try:
        smtp = _connected(host)
        try:
            _secured(smtp, host)
            if host.login is not None:
                _log_in(smtp, host, host.login)
            progress.handed_over = True
            smtp.sendmail(mail.sender, mail.to, content)
            # Taken: whatever comes of the goodbye changes nothing.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                smtp.quit()
        finally:
            smtp.close()
    except smtplib.SMTPRecipientsRefused as error:
        code, reason = next(iter(error.recipients.values()))
        raise _refused(code, reason) from error
    except smtplib.SMTPResponseException as error:
        raise _refused(error.smtp_code, error.smtp_error) from error
    except smtplib.SMTPNotSupportedError as error:
        raise DeliveryError(f"the server cannot take this: {excerpt(str(error))}", retry=False) from error
    except TimeoutError as error:
        raise DeliveryError(f"no answer within {TIMEOUT_S:g} s", retry=True, maybe_sent=progress.handed_over) from error
    except (smtplib.SMTPException, OSError) as error:
        raise DeliveryError(connect_reason(error), retry=True, maybe_sent=progress.handed_over) from error
    except UnicodeError as error:
        raise DeliveryError("an address or a password has characters that SMTP cannot send", retry=False) from error


def _connected(host: Smarthost) -> smtplib.SMTP:
    port = _port(host.port)
    hello = host.hello or "localhost"
    if not host.implicit_tls:
        return smtplib.SMTP(host.host, port, local_hostname=hello, timeout=TIMEOUT_S)
    return smtplib.SMTP_SSL(host.host, port, local_hostname=hello, timeout=TIMEOUT_S, context=_context(host))


class _NamedContext:
    """Asks for a certificate of another name than the host's."""

    def __init__(self, context: ssl.SSLContext, name: str) -> None:
        self._context = context
        self._name = name

    def wrap_socket(self, sock: socket.socket, server_hostname: str | None = None) -> ssl.SSLSocket:
        return self._context.wrap_socket(sock, server_hostname=self._name or server_hostname)


def _context(host: Smarthost) -> ssl.SSLContext:
    # The library uses nothing of a context but this method.
    return cast("ssl.SSLContext", _NamedContext(host.context(), host.server_name))


def _port(text: str) -> int:
    if text.isdecimal():
        return int(text)
    known = {"smtp": 25, "submission": 587, "submissions": 465, "smtps": 465}
    if text not in known:
        raise DeliveryError(f"{text!r} is not a port of a mail server", retry=False)
    return known[text]


def _secured(smtp: smtplib.SMTP, host: Smarthost) -> None:
    smtp.ehlo_or_helo_if_needed()
    if host.implicit_tls or not host.require_tls:
        return
    if not smtp.has_extn("starttls"):
        raise DeliveryError("require_tls is set, and the server offers no STARTTLS", retry=False)
    smtp.starttls(context=_context(host))
    smtp.ehlo()


def _log_in(smtp: smtplib.SMTP, host: Smarthost, login: Login) -> None:
    offered = smtp.esmtp_features.get("auth", "").upper().split()
    for name in offered:
        if name == "CRAM-MD5" and login.secret:
            return _exchange(smtp, name, lambda challenge: _cram_md5(login, challenge))
        if name in ("PLAIN", "LOGIN") and login.password:
            if not _is_private(smtp, host):
                reason = "the connection is not encrypted, and a password is not sent in the open"
                raise DeliveryError(reason, retry=False)
            if name == "PLAIN":
                initial = f"{login.identity}\0{login.username}\0{login.password}"
                return _exchange(smtp, f"{name} {_base64(initial)}")
            return _exchange(smtp, name, lambda _: login.username, lambda _: login.password)
    raise DeliveryError(f"the server offers no way to log in that we know: {' '.join(offered) or 'none'}", retry=False)


def _exchange(smtp: smtplib.SMTP, command: str, *answers: Callable[[bytes], str]) -> None:
    code, said = smtp.docmd("AUTH", command)
    for answer in answers:
        if code != 334:
            break
        code, said = smtp.docmd(_base64(answer(base64.b64decode(said))))
    if code not in (235, 503):
        reason = excerpt(said.decode("utf-8", "replace"))
        raise DeliveryError(f"the server does not let us in: {code} {reason}", retry=400 <= code < 500)


def _cram_md5(login: Login, challenge: bytes) -> str:
    return f"{login.username} {hmac.new(login.secret.encode(), challenge, hashlib.md5).hexdigest()}"


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "replace")).decode()


def _is_private(smtp: smtplib.SMTP, host: Smarthost) -> bool:
    if isinstance(smtp.sock, ssl.SSLSocket):
        return True
    if host.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.host).is_loopback
    except ValueError:
        return False


def _refused(code: int, reason: bytes | str) -> DeliveryError:
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    # 4xx: not now. 5xx: not like this.
    return DeliveryError(f"answered {code}: {excerpt(text)}", retry=code < 500)
