"""When the certificates that a server showed come to their end."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

MAX_CERTIFICATES = 20
MAX_NAMES = 20
MAX_CHARS = 500


def expiry_s(chain: Sequence[bytes]) -> float | None:
    """Unix time of the earliest end; None when none of them can be read. `chain`: certificates as DER."""
    from cryptography import x509  # noqa: PLC0415 - a large library, for those who check servers with certificates

    ends: list[float] = []
    for der in chain[:MAX_CERTIFICATES]:
        try:
            ends.append(x509.load_der_x509_certificate(der).not_valid_after_utc.timestamp())
        except (ValueError, OverflowError):
            # Servers show whatever they like; what cannot be read is not an end.
            continue
    return min(ends, default=None)


def about(chain: Sequence[bytes]) -> Mapping[str, str]:
    """Of the server's own certificate: whose it is, who says so, and its fingerprint; {} when it cannot be read."""
    from cryptography import x509  # noqa: PLC0415 - as above

    try:
        own = x509.load_der_x509_certificate(chain[0])
        names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        found = {
            "subject": own.subject.rfc4514_string(),
            "issuer": own.issuer.rfc4514_string(),
            "subjectalternative": ",".join(names.get_values_for_type(x509.DNSName)[:MAX_NAMES]),
        }
    except (ValueError, IndexError, x509.ExtensionNotFound):
        return {}
    cut = {name: "".join(char for char in text if char.isprintable())[:MAX_CHARS] for name, text in found.items()}
    return {**cut, "fingerprint_sha256": sha256(chain[0]).hexdigest()}


def shown(connection: ssl.SSLObject) -> list[bytes]:
    """The certificates that the server sent, its own first."""
    return _chain(connection, "get_unverified_chain")


def verified(connection: ssl.SSLObject) -> list[bytes]:
    """The chain up to the authority; [] when it was not verified."""
    return _chain(connection, "get_verified_chain") if connection.context.verify_mode is ssl.CERT_REQUIRED else []


def _chain(connection: ssl.SSLObject, method: str) -> list[bytes]:
    # Public since Python 3.13; before, only the object inside has it.
    holder: Any = connection if hasattr(connection, method) else getattr(connection, "_sslobj", None)
    found = getattr(holder, method, lambda: None)()
    if found:
        return [one if isinstance(one, bytes) else _der(one) for one in found]
    own = connection.getpeercert(binary_form=True)
    return [own] if own else []


def _der(certificate: Any) -> bytes:
    pem = certificate.public_bytes()
    return ssl.PEM_cert_to_DER_cert(pem) if isinstance(pem, str) else bytes(pem)
