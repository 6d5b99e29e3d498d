"""What `dns://server/name?type=MX` asks for. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import dns.exception
import dns.name
import dns.rcode
import dns.rdatatype
import httpx

DEFAULT_PORT = 53


@dataclass(frozen=True, slots=True)
class Question:
    server: str
    """"": the name server of this machine."""
    port: int
    name: dns.name.Name
    record: dns.rdatatype.RdataType
    rcode: dns.rcode.Rcode


def question_of(url: str, record: str, rcode: str) -> Question:
    """`record` "": the one that the address names, else A.

    Raises:
        ValueError: there is no such name, type or code; the message begins with the key it is about.
    """
    parsed = httpx.URL(url)
    in_url = parsed.params.get("type", "")
    if record and in_url and record.upper() != in_url.upper():
        raise ValueError(f"record: {record} and the url's type={in_url} are two; expected one")
    name = parsed.path.strip("/")
    if not name:
        raise ValueError("url: expected dns://server/name, or dns:///name for the name server of this machine")
    try:
        return Question(
            parsed.host,
            parsed.port or DEFAULT_PORT,
            dns.name.from_text(name),
            dns.rdatatype.from_text((record or in_url or "A").upper()),
            dns.rcode.from_text(rcode.upper()),
        )
    except dns.rdatatype.UnknownRdatatype as error:
        raise ValueError(f"record: {record or in_url!r} is no type of record, such as A, AAAA, MX or TXT") from error
    except dns.rcode.UnknownRcode as error:
        raise ValueError(f"rcode: {rcode!r} is no code, such as NOERROR or NXDOMAIN") from error
    except (dns.exception.DNSException, ValueError, UnicodeError) as error:
        raise ValueError(f"url: {name[:100]!r} is no name to ask for: {error}") from error
