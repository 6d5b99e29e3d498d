"""Fields and files as the one body in which a web form sends both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class File:
    name: str
    content: bytes
    content_type: str = "image/png"


def multipart(parts: Mapping[str, str | File]) -> tuple[bytes, str]:
    """The body, and its content type. The names are ours; what the fields say may be anything."""
    # From what is sent, so that an attempt is like the one before it, and nobody can write a text that ends a part.
    digest = sha256()
    for part in parts.values():
        digest.update(part.encode("utf-8", "replace") if isinstance(part, str) else part.content)
    boundary = f"trackside-{digest.hexdigest()}"
    body = b"".join(_part(boundary, name, part) for name, part in parts.items())
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def _part(boundary: str, name: str, part: str | File) -> bytes:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
    if isinstance(part, str):
        return f"{head}\r\n\r\n{part}\r\n".encode("utf-8", "replace")
    return (
        f'{head}; filename="{part.name}"\r\nContent-Type: {part.content_type}\r\n\r\n'.encode() + part.content + b"\r\n"
    )
