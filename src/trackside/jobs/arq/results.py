"""Results that arq keeps, found by going round all keys in bounded steps, each read once."""

from __future__ import annotations

from collections.abc import Mapping

from trackside.exceptions import ParseError, SourceError
from trackside.jobs.arq.wire import RESULT, ended_job, fields_of, payloads
from trackside.jobs.payloads import IsSecret
from trackside.jobs.redis_store import RedisStore, text, time_ms
from trackside.model.jobs import Job

MAX_KNOWN = 200_000
MAX_REMEMBERED = 5_000
MAX_READ = 1_000
"""Results in one step: some 60 ms of work."""
MAX_FOUND = 2_000
MAX_SCANS = 20
_SCAN_COUNT = 1_000
_SAME_MS = 2_000
"""Two readings of when a key ends differ by less."""


class Results:
    """Forgets what it found when its process ends; then the times of the ends tell what is new."""

    def __init__(self, store: RedisStore, is_secret: IsSecret) -> None:
        self._store = store
        self._is_secret = is_secret
        self.forget()

    def forget(self) -> None:
        self._known: dict[bytes, int] = {}
        """When the key of a result ends: an id is used again, and has another end then."""
        self.latest: dict[str, Job] = {}
        self.untold: list[tuple[Job, bool]] = []
        """With whether they are certain to be new: an earlier round did not find them."""
        self.is_complete = False
        """There was a whole round."""
        self.round_began_ms: int | None = None
        """The last whole one: all that had ended before it is known."""
        self.unread = 0
        """Too large, or of another serializer."""
        self.is_behind = False
        self._began_ms = 0
        self._position = 0
        self._left: list[bytes] = []

    def read(self) -> None:
        """One step."""
        try:
            self._step()
        except SourceError:
            # Keys may have been found and not read: the round begins again.
            self._position, self._left = 0, []
            raise

    def _step(self) -> None:
        keys = self._left or self._scanned()
        asked = self._store.pipeline()
        asked.time()
        for key in keys:
            asked.pttl(key)
        time, *lefts_ms = self._store.answers(asked)
        at_ms = time_ms(time)
        ends = {
            key: at_ms + left_ms if left_ms >= 0 else -1
            for key, left_ms in zip(keys, lefts_ms, strict=True)
            if isinstance(left_ms, int) and left_ms != -2
        }
        new = [key for key, end_ms in ends.items() if abs(self._known.get(key, -_SAME_MS * 2) - end_ms) > _SAME_MS]
        data = payloads(self._store, new[:MAX_READ])
        self._left = [key for key in new if key not in data]
        self.is_behind = bool(self._left) or self._position != 0
        self._take(data, ends)
        if not self._left and self._position == 0:
            self._end_round(at_ms)

    def _scanned(self) -> list[bytes]:
        keys: dict[bytes, None] = {}
        for _ in range(MAX_SCANS):
            asked = self._store.pipeline()
            asked.time()
            asked.scan(self._position, match=RESULT + b"*", count=_SCAN_COUNT)
            time, (position, found) = self._store.answers(asked)
            if self._position == 0:
                self._began_ms = time_ms(time)
            self._position = int(position)
            keys |= dict.fromkeys(found)
            if not self._position or len(keys) >= MAX_FOUND:
                break
        return list(keys)

    def _take(self, data: Mapping[bytes, bytes | None], ends: Mapping[bytes, int]) -> None:
        for key, raw in data.items():
            self._known[key] = ends[key]
            id = text(key[len(RESULT) :])
            try:
                if raw is None:
                    raise ParseError("too large")
                job = ended_job(id, fields_of(raw), self._is_secret)
            except ParseError:
                self.unread += raw != b""
                continue
            self.latest.pop(id, None)
            self.latest[id] = job
            self.untold.append((job, self.is_complete))
        while len(self.latest) > MAX_REMEMBERED:
            del self.latest[next(iter(self.latest))]

    def _end_round(self, at_ms: int) -> None:
        self._known = {key: end_ms for key, end_ms in self._known.items() if end_ms == -1 or end_ms > at_ms}
        self.is_complete = len(self._known) <= MAX_KNOWN
        if not self.is_complete:
            # Those forgotten are read again, and their times say that they are old.
            self._known = dict(list(self._known.items())[-MAX_KNOWN:])
        self.round_began_ms = self._began_ms
