"""What RQ was asked to call, and with what: a compressed pickle or JSON of four, never loaded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trackside.exceptions import ParseError
from trackside.jobs.payloads import decoded, inflated
from trackside.jobs.redis_store import RedisStore
from trackside.jobs.rq.keys import Keys

MAX_SMALL_BYTES = 64 << 10


def call_of(data: bytes) -> tuple[str, Any, Any]:
    """The function's name, its arguments, and its named arguments; objects among them are `Foreign`.

    Raises:
        ParseError: it is none of RQ's, or too large.
    """
    try:
        plain = inflated(data)
    except ParseError:
        if data[:1] == b"\x78":
            raise
        # RQ itself falls back to what was not compressed.
        plain = data
    found = decoded(plain)
    if not isinstance(found, list | tuple) or len(found) != 4 or not isinstance(found[0], str):
        raise ParseError("not the payload of an RQ job")
    name, _, args, kwargs = found
    return name[:200], args, kwargs


def function_names(store: RedisStore, keys: Keys, ids: Iterable[str]) -> dict[str, str]:
    """Of jobs that an application describes in its own words, by id: those whose payload is small and can be read."""
    found: dict[str, str] = {}
    for id, data in small_payloads(store, keys, list(ids)).items():
        try:
            found[id] = call_of(data)[0]
        except ParseError:
            continue
    return found


def small_payloads(store: RedisStore, keys: Keys, ids: list[str]) -> dict[str, bytes]:
    """By id; a payload may be as large as Redis allows, and is asked for its size first."""
    asked = store.pipeline()
    for id in ids:
        asked.hstrlen(keys.job(id), "data")
    small = [id for id, size in zip(ids, store.answers(asked), strict=True) if size and size <= MAX_SMALL_BYTES]
    asked = store.pipeline()
    for id in small:
        asked.hget(keys.job(id), "data")
    return {id: data for id, data in zip(small, store.answers(asked), strict=True) if data}
