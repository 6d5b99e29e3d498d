"""One JSON line of a log: `{"timestamp", "level", "context", "message", …fields, "exception"}`."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from time import gmtime, strftime

from trackside.model.secret_texts import may_hold_credentials
from trackside.sdk.logs.values import MAX_NAME, MAX_TEXT, json_of, quoted, shortened
from trackside.sdk.scrub import FILTERED, Scrubber

FIELD_NAMES: Mapping[str, str] = {"request_id": "requestId", "user_id": "userId"}
"""What Python calls a field → what the line calls it. Other fields keep their names."""
MAX_LINE = 65_536
"""Characters of a line: collectors cut or drop longer ones, and half of a JSON object is none."""
_OWN = frozenset(("timestamp", "level", "context", "message", "exception"))
_MAX_KNOWN = 1_024
_SHORT = 48
"""Characters of a text that is written at once if it is one word, and none that a known form of secrets begins with."""
_PLAIN = 2**53
# What stands before `=` and `:`. It begins where a run of such characters does and takes all: nothing is tried twice.
_BEFORE_VALUE = re.compile(r"(?<![\w.%\[\]-])([\w.%\[\]-]++)[\\\"']{0,8}\s{0,8}[=:]")
_FILTERED = quoted(FILTERED)
# Line ends to some readers of text, though not to JSON.
_LINE_ENDS = {0x7F: "\\u007f", 0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}

Fields = Mapping[str, object]


class Lines:
    """Writes lines, keeping the parts of them that recur."""

    def __init__(self, names: Mapping[str, str] = FIELD_NAMES, scrubber: Scrubber | None = None) -> None:
        """`scrubber` takes secrets out of fields by their names and out of texts by their form; None leaves all in."""
        self._names = dict(names)
        self._scrubber = scrubber
        self._secret_keys: Container[str] = () if scrubber is None else scrubber.keys
        self._befores: dict[str, tuple[str, bool]] = {}
        """Field → the text before its value, and whether its value is a secret."""
        self._heads: dict[tuple[str, str], str] = {}
        self._harmless: set[str] = set()
        self._time = (-1, "")

    def line(
        self, when_s: float, about: tuple[str, str], message: str, fields: Fields, failure: Fields | None = None
    ) -> str:
        """Without the line end, which is in no part of it either. `about` is level and context. Fields that are called
        as one of the line's own parts get a "_" behind their names."""
        seconds, text = self._time
        if int(when_s) != seconds:
            seconds = int(when_s)
            text = strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds))
            self._time = (seconds, text)
        head = self._heads.get(about) or self._new_head(about)
        line = f'{{"timestamp":"{text}.{int((when_s - seconds) * 1000):03d}Z",{head}{self._text(message)}'
        left_out = 0
        befores, harmless = self._befores, self._harmless
        for name, value in fields.items():
            before, is_secret = befores.get(name) or self._new_before(name)
            # The usual values without a call.
            kind = type(value)
            if is_secret:
                line += before + _FILTERED
            elif kind is str and (
                value in harmless or (len(value) < _SHORT and value.isalnum() and value[0] != "A")  # type: ignore[arg-type, attr-defined, index]
            ):
                line += before + quoted(value)  # type: ignore[arg-type]
            elif kind is int and -_PLAIN < value < _PLAIN:  # type: ignore[operator]
                line += f"{before}{value}"
            elif kind is float and -_PLAIN < value < _PLAIN:  # type: ignore[operator]
                line += f"{before}{value!r}"
            else:
                written = self._value(value)
                if len(line) + len(written) > MAX_LINE:
                    left_out += 1
                else:
                    line += before + written
        if failure is not None:
            line += f',"exception":{self._failure(failure)}'
        if left_out:
            line += f',"fieldsLeftOut":{left_out}'
        return line + "}" if line.isascii() and "\x7f" not in line else _on_one_line(line + "}")

    def _text(self, text: str) -> str:
        if len(text) > MAX_TEXT:
            text = shortened(text)
        # Most messages are the same few texts.
        if self._scrubber is None or text in self._harmless:
            return quoted(text)
        if may_hold_secret(text) or self._names_secret(text):
            return quoted(self._scrubber.text(text))
        if len(self._harmless) >= _MAX_KNOWN:
            self._harmless.clear()
        if len(text) < MAX_NAME:
            self._harmless.add(text)
        return quoted(text)

    def _names_secret(self, text: str) -> bool:
        keys = self._secret_keys
        return ("=" in text or ":" in text) and any(name in keys for name in _BEFORE_VALUE.findall(text))

    def _value(self, value: object) -> str:
        if type(value) is str:
            return self._text(value)
        return json_of(value, self._secret_keys, self._text)

    def _failure(self, failure: Fields) -> str:
        return "{" + ",".join(f"{quoted(name)}:{self._value(value)}" for name, value in failure.items()) + "}"

    def _new_head(self, about: tuple[str, str]) -> str:
        level, context = about
        head = f'"level":{quoted(str(level))},"context":{quoted(shortened(str(context), MAX_NAME))},"message":'
        if len(self._heads) < _MAX_KNOWN:
            self._heads[about] = head
        return head

    def _new_before(self, name: object) -> tuple[str, bool]:
        text = shortened(str(name), MAX_NAME)
        shown = self._names.get(text, text)
        before = f",{quoted(f'{shown}_' if shown in _OWN else shown)}:", text in self._secret_keys
        if len(self._befores) < _MAX_KNOWN and type(name) is str:
            self._befores[name] = before
        return before


def may_hold_secret(text: str) -> bool:
    """Whether it is worth a closer look: a fifth of the cost of one, and most texts hold none of these."""
    return (
        ("://" in text and "@" in text)
        or "earer " in text
        or "asic " in text
        or "oken" in text
        or "ecret" in text
        or "ssw" in text
        or "pi_key" in text
        or "pikey" in text
        or "ookie" in text
        or "uthoriz" in text
        or may_hold_credentials(text)
    )


def _on_one_line(line: str) -> str:
    # A lone surrogate, as file names of odd bytes have it, cannot be written at all.
    return line.translate(_LINE_ENDS).encode("utf-8", "replace").decode()
