"""Numbers, characters and quoted strings as Go writes them."""

from __future__ import annotations

import re

_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"', "'": "'"}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.S)
_INTEGER = re.compile(
    r"[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?[0-7])+|0|[1-9](?:_?\d)*)"
)
_FLOAT = re.compile(r"[+-]?(?:\d(?:_?\d)*\.?(?:\d(?:_?\d)*)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d+)?")
_INT64 = range(-(1 << 63), 1 << 63)


def number(text: str) -> int | float:
    """
    Raises:
        ValueError: not a number, or an integer that does not fit into 64 bits.
    """
    if _INTEGER.fullmatch(text):
        value = _integer(text.replace("_", ""))
        if value not in _INT64:
            raise ValueError(f"{text} does not fit into 64 bits")
        return value
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    raise ValueError(f"not a number: {text}")


def _integer(text: str) -> int:
    digits = text.lstrip("+-")
    # An octal number may go without the "o" in Go, but not in Python.
    value = int(digits, 8) if re.fullmatch(r"0[0-7]+", digits) else int(digits, 0)
    return -value if text.startswith("-") else value


def unquote(text: str) -> str:
    """The string that stands between double quotes, or the character between single ones.

    Raises:
        ValueError: an escape that Go does not know.
    """
    inner = text[1:-1]
    if "\\" not in inner:
        return inner
    # \xff and \377 are bytes, which together may make one character.
    data = bytearray()
    at = 0
    for match in _ESCAPE.finditer(inner):
        data += inner[at : match.start()].encode("utf-8", "surrogatepass")
        data += _unescaped(match)
        at = match.end()
    data += inner[at:].encode("utf-8", "surrogatepass")
    return data.decode("utf-8", "replace")


def _unescaped(match: re.Match[str]) -> bytes:
    hexadecimal, short, long, octal, simple = match.groups()
    if hexadecimal or octal:
        value = int(hexadecimal, 16) if hexadecimal else int(octal, 8)
        if value > 255:
            raise ValueError(f"{match[0]} is no byte")
        return bytes([value])
    if short or long:
        code = int(short or long, 16)
        if code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise ValueError(f"{match[0]} is no character")
        return chr(code).encode()
    if simple not in _SIMPLE:
        raise ValueError(f"unknown escape {match[0]}")
    return _SIMPLE[simple].encode()


def quote(text: str) -> str:
    """As `%q` prints it."""
    inner = "".join(_quoted_character(character, '"') for character in text)
    return f'"{inner}"'


def quote_character(code: int) -> str:
    character = chr(code) if 0 <= code <= 0x10FFFF else "\ufffd"
    return f"'{_quoted_character(character, chr(39))}'"


def _quoted_character(character: str, mark: str) -> str:
    if character in (mark, "\\"):
        return "\\" + character
    if character.isprintable():
        return character
    for letter, plain in _SIMPLE.items():
        if plain == character and letter not in "\"'":
            return "\\" + letter
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
