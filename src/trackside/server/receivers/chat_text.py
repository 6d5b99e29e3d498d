"""How a value goes into the marked-up text of a chat: as text, and as a link that leads where it says."""

from __future__ import annotations

import re
from urllib.parse import quote

_SLACK = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_MARKDOWN = re.compile(r"([\\`*_~|\[\]<>#])")
_WEB = ("http://", "https://")
_SAFE = "!#$&'*+,/:;=?@[]~%"
"""What stays as it is in an address: all but what ends one in a text, such as ) and >."""


def slack_text(text: str) -> str:
    """Slack takes `<!channel>` for a call to everybody."""
    return text.translate(_SLACK)


def slack_link(word: str, url: str) -> str:
    """ "" for what is no web address."""
    return (
        f"<{slack_text(quote(url, safe=_SAFE, errors='replace'))}|{slack_text(word)}>" if url.startswith(_WEB) else ""
    )


def markdown_text(text: str) -> str:
    """On one line: a line of its own could begin a heading or a list."""
    return " ".join(_MARKDOWN.sub(r"\\\1", text).split())


def markdown_link(word: str, url: str) -> str:
    """ "" for what is no web address."""
    return f"[{markdown_text(word)}]({quote(url, safe=_SAFE, errors='replace')})" if url.startswith(_WEB) else ""
