"""What the words around an expression promise: a share, a number per second, an amount."""

from __future__ import annotations

import re

_PERCENT = re.compile(r"%|\bper ?cent|\bpercentage")
_SHARE = re.compile(r"\b(error|failure|success|hit|miss|drop|timeout|loss)[ _-]?rates?\b|\bratio\b|\bshare\b|\brate\b")
_PER_SECOND = re.compile(r"/ ?s(ec(ond)?)?\b|\bper second\b|\bp/s\b|\b[rqt]ps\b")
_AMOUNT = re.compile(
    r"\bcosts?\b|\bspend|\bspent\b|\bprice|\$ ?\d|\$/|\bdollars?\b|\busd\b|\bbilling\b|\btotal amount\b"
)
_RATE_OF_MONEY = re.compile(r"per (second|hour|day|month)|/ ?(s|h|hour|day|month)\b")
_TIME_SPENT = re.compile(r"\bslow|\bexpensive|\bcach|\boptimi|\bduration|\blatency|\btime\b")
_LONG_WINDOW = re.compile(r"\bcosts?\b|\busage\b|\bper day\b|\bdaily\b|\btrack")


def speak_of_share(words: str) -> bool:
    """Of a part of a whole: "error rate above 5%"."""
    return bool(_PERCENT.search(words)) or (bool(_SHARE.search(words)) and not _PER_SECOND.search(words))


def speak_of_percent(words: str) -> bool:
    return bool(_PERCENT.search(words))


def speak_per_second(words: str) -> bool:
    return bool(_PER_SECOND.search(words))


def speak_of_amount(words: str) -> bool:
    """Of money or another sum, and not of how fast it grows."""
    return bool(_AMOUNT.search(words)) and not _RATE_OF_MONEY.search(words)


def speak_of_time_spent(words: str) -> bool:
    return bool(_TIME_SPENT.search(words))


def natural_window(words: str, kind: str) -> str:
    """The window over which a number is worth knowing."""
    if kind == "alert":
        return "5m"
    return "1d" if _LONG_WINDOW.search(words) else "1h"
