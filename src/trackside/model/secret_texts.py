"""Secrets within a text: credentials by their form, and whatever stands behind a key that names a secret."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

from trackside.model.secret_keys import SecretKeys

FILTERED = "[Filtered]"
MAX_TEXT = 65_536
"""What is beyond it is cut off: a text that is not looked at must not leave."""

# Each alternative begins with something literal or is bounded, so that no text takes more than linear time.
_PRIVATE_KEY = r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)"
_KNOWN_TOKENS = (
    r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*",  # a JSON web token
    r"(?<![\w-])(?:sk|rk)[-_](?=[A-Za-z_-]*+\d)[\w-]{16,}+",
    r"\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{20,}",
    r"\bgithub_pat_\w{20,}",
    r"\bglpat-[\w-]{16,}",
    r"\bxox[abeprs]-[\w-]{10,}",
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\bAIza[\w-]{30,}",
    r"\bwhsec_\w{16,}",
    r"\bSG\.[\w-]{16,}\.[\w-]{16,}",
)
_CREDENTIALS = re.compile("|".join((_PRIVATE_KEY, *_KNOWN_TOKENS)))
_SCHEMES = re.compile(r"\b(Bearer|Basic)(\s+|%20)[\w\-.~+/]{4,}=*", re.I)
_USER_INFO = re.compile(r"(://[^\s/?#:@\"']{0,256}:)[^\s/?#]{0,1024}@")
_CARD = re.compile(r"(?<![\w.-])[3-6]\d{3}(?:([ -]?)\d{4})(?:\1\d{1,6}){1,3}(?![\w-])")
_QUOTED = r"\"(?:[^\"\\]|\\.)*+\"?|'(?:[^'\\]|\\.)*+'?"
_WHOLE_HEADERS = re.compile(
    rf"\b((?:proxy-)?authorization|(?:set-)?cookie)([\\\"']*\s{{0,8}}(?:=>|[:=])\s{{0,8}})(?:b?(?:{_QUOTED})|[^\r\n]+)",
    re.I,
)
# `key=value`, `key: value`, `'key': 'value'`, `\"key\": \"value\"`, `key => value`, `?key=value&`, `("key", "value")`.
# A key begins where a run of its characters does and takes all of it: nothing is tried twice.
_KEY = re.compile(r"(?<![\w.%\[\]-])([\w.%\[\]-]++)([\\\"']{0,8}\s{0,8}(?:=>|[:=,])\s{0,8})")
_VALUE = re.compile(
    rf"b?(?:{_QUOTED})|\\+\"(?:[^\"\\]|\\[^\"])*+(?:\\+\")?|[\[{{(][^\]}})]*+[\]}})]*+|[^\s,;&\"'\]}})<>]++"
)
_QUOTES = ('\\"', '"', "'")
_HALF_KEY = re.compile(r"\A[^-]*-----END [A-Z ]{0,40}PRIVATE KEY-----")


def without_secrets(text: str, keys: SecretKeys) -> str:
    """`text`, each secret in it replaced by "[Filtered]"."""
    if len(text) > MAX_TEXT:
        text = f"{text[:MAX_TEXT]}… (cut)"
    if "://" in text:
        text = _USER_INFO.sub(rf"\1{FILTERED}@", text)
    # Most texts have none of these words, and to look for a word costs a hundredth of looking for a pattern.
    if may_hold_credentials(text):
        text = _CREDENTIALS.sub(FILTERED, text)
    lowered = text.casefold()
    if "bearer" in lowered or "basic" in lowered:
        text = _SCHEMES.sub(rf"\1\2{FILTERED}", text)
    text = _CARD.sub(_unless_no_card, text)
    if "=" in text or ":" in text or "," in text:
        if "authorization" in lowered or "cookie" in lowered:
            text = _WHOLE_HEADERS.sub(rf"\1\2{FILTERED}", text)
        text = _without_assigned(text, keys)
    return text


def may_hold_credentials(text: str) -> bool:
    """Whether it has what a known form of them begins with. Written out: a loop takes twice as long, and each line of a
    log is asked."""
    return (
        "PRIVATE KEY" in text
        or "eyJ" in text
        or "sk-" in text
        or "sk_" in text
        or "rk-" in text
        or "rk_" in text
        or "ghp_" in text
        or "gho_" in text
        or "ghu_" in text
        or "ghs_" in text
        or "ghr_" in text
        or "github_pat_" in text
        or "glpat-" in text
        or "xox" in text
        or "AKIA" in text
        or "ASIA" in text
        or "AIza" in text
        or "whsec_" in text
        or "SG." in text
    )


def traceback_without_secrets(text: str, keys: SecretKeys) -> str:
    """The same of a text whose end says the most. It is cut in its middle, where no half of a secret may stay that
    cannot be recognized any more."""
    if len(text) <= MAX_TEXT:
        return without_secrets(text, keys)
    lines_at = text.find("\n", len(text) - MAX_TEXT * 3 // 4)
    if lines_at < 0:
        # One line without an end: what its end belongs to is not known.
        return without_secrets(text[:MAX_TEXT], keys)
    head, tail = text[: MAX_TEXT // 8], _HALF_KEY.sub("", text[lines_at + 1 :])
    return f"{without_secrets(head, keys)}\n… (cut) …\n{without_secrets(tail, keys)}"


def _without_assigned(text: str, keys: SecretKeys) -> str:
    kept: list[str] = []
    done = 0
    found = _KEY.search(text)
    while found is not None:
        at = found.end()
        if _names_secret(found, text, keys):
            value = _VALUE.match(text, at)
            if value is not None and not value.group().startswith(FILTERED[:-1]):
                quote = next((mark for mark in _QUOTES if value.group().removeprefix("b").startswith(mark)), "")
                kept += (text[done:at], quote, FILTERED, quote)
                done = at = value.end()
        found = _KEY.search(text, at)
    return "".join((*kept, text[done:]))


def _names_secret(found: re.Match[str], text: str, keys: SecretKeys) -> bool:
    key, between = found.groups()
    if "," in between and not (between[0] in "\"'" and text[found.end() : found.end() + 1] in ("'", '"')):
        # Two words with a comma between them are a pair only where both are quoted.
        return False
    # What stands before a bracket or is escaped for a URL belongs to the key: `user[password]=`, `user%5Bpassword%5D=`.
    key = key[-256:]
    return (unquote_plus(key) if "%" in key else key) in keys


def _unless_no_card(found: re.Match[str]) -> str:
    digits = [int(digit) for digit in found.group() if digit.isdigit()]
    if not 13 <= len(digits) <= 19:
        return found.group()
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return FILTERED if (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 else found.group()
