"""What arq keeps of a job: pickles of a call and of its result, which are never loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trackside.exceptions import ParseError
from trackside.jobs.failures import shown_error
from trackside.jobs.payloads import IsSecret, decoded, shown
from trackside.jobs.pickles import Foreign
from trackside.jobs.redis_store import RedisStore, encoded
from trackside.model.jobs import Job, JobState

QUEUE = "arq:queue"
ABORTS = "arq:abort"
HEALTH = ":health-check"
JOB = b"arq:job:"
RUNNING = b"arq:in-progress:"
RETRY = b"arq:retry:"
RESULT = b"arq:result:"
MAX_PAYLOAD_BYTES = 1 << 20
MAX_READ_BYTES = 16 << 20
"""In one reading."""
_MAX_MS = 253_402_300_799_000


def fields_of(data: bytes | None) -> Mapping[str, Any]:
    """Of a call: `f`, `a`, `k`, `t`, `et`; of a result also `s`, `r`, `st`, `ft`, `q`.

    Raises:
        ParseError: it is of a serializer of the application, too large, or gone.
    """
    found = decoded(data or b"")
    if not isinstance(found, dict):
        raise ParseError("not the payload of an arq job")
    return found


def kind_of(fields: Mapping[str, Any]) -> str:
    name = fields.get("f")
    return encoded(name[:200]).decode() if isinstance(name, str) and name else "?"


def ms_of(value: Any) -> int | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return round(value) if is_number and 0 < value <= _MAX_MS else None


def ended_job(id: str, fields: Mapping[str, Any], is_secret: IsSecret) -> Job:
    result, queue = fields.get("r"), fields.get("q")
    has_succeeded = fields.get("s") is True
    # One that a stopped worker cancelled runs again, and has no result.
    is_aborted = isinstance(result, Foreign) and result.name.endswith("CancelledError")
    state = JobState.SUCCEEDED if has_succeeded else JobState.CANCELLED if is_aborted else JobState.FAILED
    return Job(
        id=id,
        kind=kind_of(fields),
        queue=encoded(queue[:200]).decode() if isinstance(queue, str) else "",
        state=state,
        raw_state="complete",
        enqueued_ms=ms_of(fields.get("et")),
        started_ms=ms_of(fields.get("st")),
        finished_ms=ms_of(fields.get("ft")),
        attempt=count_of(fields.get("t")),
        error=None if has_succeeded else error_of(result, is_secret),
    )


def error_of(result: Any, is_secret: IsSecret) -> str:
    """As the last line of a traceback, which arq does not keep."""
    if not isinstance(result, Foreign):
        said = shown(result, is_secret)
        line = said if isinstance(said, str) else str(said)
    else:
        args = result.args if isinstance(result.args, tuple) else ()
        parts = [str(shown(one, is_secret)) for one in args[:20]]
        line = result.name.rpartition(".")[2] + (f": {', '.join(parts)}" if parts else "")
    first = next(iter(line.splitlines()), "")
    return shown_error(first)


def count_of(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1_000_000 else None


def retries_of(raw: bytes | None) -> int | None:
    """Of the counter of attempts."""
    return count_of(int(raw)) if raw and raw.isdigit() else None


def payloads(store: RedisStore, keys: Sequence[bytes]) -> dict[bytes, bytes | None]:
    """None: larger than is looked at; empty: not there. Missing are those for which there was no room in one reading:
    a payload may be as large as Redis allows, and is asked for its size first."""
    asked = store.pipeline()
    for key in keys:
        asked.strlen(key)
    found: dict[bytes, bytes | None] = {}
    wanted, room = [], MAX_READ_BYTES
    for key, size in zip(keys, store.answers(asked), strict=True):
        if size and size > MAX_PAYLOAD_BYTES:
            found[key] = None
        elif not size:
            found[key] = b""
        elif size <= room:
            room -= size
            wanted.append(key)
    asked = store.pipeline()
    for key in wanted:
        asked.get(key)
    return found | {key: data or b"" for key, data in zip(wanted, store.answers(asked), strict=True)}
