"""What every exporter hands to the scrape loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from trackside.server.masking import MASK, PASSWORD_IN_URL

PageT = TypeVar("PageT")
MakePage = Callable[[bytes, str], PageT]
"""An exposition, and why the database could not be asked, "" when it could."""
_MAX_CHARS = 300


def reason_of(error: Exception) -> str:
    """One line, without what stands in the address."""
    text = " ".join(str(error).split()) or type(error).__name__
    return PASSWORD_IN_URL.sub(rf"\1{MASK}@", text)[:_MAX_CHARS]
