"""The fingerprint of a label set as Prometheus and Alertmanager compute it: 64-bit FNV-1a, in hexadecimal."""

from __future__ import annotations

from functools import lru_cache

from trackside.model.labels import Labels

_OFFSET = 0xCBF29CE484222325
_PRIME = 0x100000001B3
_MASK = (1 << 64) - 1


@lru_cache(maxsize=65_536)
def fingerprint(labels: Labels) -> str:
    parts = [part.encode("utf-8", "surrogatepass") for pair in labels.pairs for part in pair]
    # Each name and each value ends in a byte that UTF-8 never uses.
    text = b"\xff".join([*parts, b""])
    value, prime, mask = _OFFSET, _PRIME, _MASK
    for byte in text:
        value = (value ^ byte) * prime & mask
    return f"{value:016x}"
