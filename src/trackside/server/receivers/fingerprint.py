"""The fingerprint of a label set as Prometheus and Alertmanager compute it: 64-bit FNV-1a, in hexadecimal."""

from __future__ import annotations

from functools import lru_cache

from trackside.model.labels import Labels

_OFFSET = 0xCBF29CE484222325
_PRIME = 0x100000001B3
_MASK = (1 << 64) - 1


@lru_cache(maxsize=65_536)
def fingerprint(labels: Labels) -> str:
    value = _OFFSET
    # Each name and each value ends in a byte that UTF-8 never uses.
    for pair in labels:
        for part in pair:
            for byte in (*part.encode("utf-8", "surrogatepass"), 0xFF):
                value = (value ^ byte) * _PRIME & _MASK
    return f"{value:016x}"
