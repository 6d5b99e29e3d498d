"""One mail: its addresses, headers and parts, as text that a mail server takes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, getaddresses

from trackside.exceptions import DeliveryError
from trackside.model.alerts import ChartImage, Notification

PICTURE = "chart@trackside"
"""What an HTML part calls the picture: `<img src="cid:chart@trackside">`."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Mail:
    sender: str
    to: tuple[str, ...]
    headers: Mapping[str, str]
    text: str
    html: str
    now_ms: int
    chart: ChartImage | None = None
    """Sent along where the HTML shows it."""

    def content(self) -> bytes:
        """
        Raises:
            DeliveryError: a header cannot be written.
        """
        message = EmailMessage(policy=SMTP)
        try:
            for name, value in self.headers.items():
                # One line: else a label with a line break would make a header of its own.
                message[name] = " ".join(value.split())
            if "Date" not in self.headers:
                message["Date"] = format_datetime(_EPOCH + timedelta(milliseconds=self.now_ms))
            if "Mime-Version" not in self.headers:
                message["MIME-Version"] = "1.0"
            message.make_alternative()
            for kind, text in (("plain", self.text), ("html", self.html)):
                if text:
                    message.attach(self._with_picture(_part(kind, text)))
            return message.as_bytes()
        except (ValueError, LookupError, AttributeError) as error:
            # The library raises all of these for addresses that are none.
            raise DeliveryError(f"a header cannot be written: {str(error)[:200]}", retry=False) from error

    def _with_picture(self, part: EmailMessage) -> EmailMessage:
        shows = part.get_content_subtype() == "html" and f"cid:{PICTURE}" in self.html
        if self.chart is None or not shows:
            return part
        # Related to the HTML, and not an attachment of the mail: it is shown where it belongs, and in no list of files.
        part.add_related(self.chart.png, "image", "png", cid=f"<{PICTURE}>", filename="chart.png", disposition="inline")
        part.set_param("type", "text/html")
        for one in part.iter_parts():
            del one["MIME-Version"]
        return part


def _part(kind: str, text: str) -> EmailMessage:
    part = EmailMessage(policy=SMTP)
    part.set_content(text.encode("utf-8", "replace").decode(), subtype=kind, charset="utf-8", cte="quoted-printable")
    # Only the whole has a version.
    del part["MIME-Version"]
    return part


def addresses(text: str) -> list[str]:
    """
    Raises:
        DeliveryError: there is none, or one that is not an address.
    """
    found = [address for _, address in getaddresses([" ".join(text.split())])]
    if not found or not all(found):
        raise DeliveryError(f"not an email address: {text[:100]!r}", retry=False)
    return found


def header_name(name: str) -> str:
    """ "x-PRIO" → "X-Prio", the way in which two names are the same."""
    return "-".join(part.capitalize() for part in name.strip().split("-"))


def message_id(notification: Notification, domain: str) -> str:
    """The same at each attempt, so that a mail program shows a repetition once."""
    unique = notification.delivery_id or _hash(f"{notification.group_key}\n{notification.alerts!r}")
    return f"<{unique}.{_hash(notification.receiver + notification.group_key)}@{domain or 'localhost'}>"


def conversation_id(notification: Notification, day_ms: int | None) -> str:
    """The mail, never sent, to which all about this group are answers; another one each day if a time is given."""
    day = "" if day_ms is None else f"-{(_EPOCH + timedelta(milliseconds=day_ms)).date().isoformat()}"
    return f"<alert-{_hash(notification.group_key)}{day}@alertmanager>"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
