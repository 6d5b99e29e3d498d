"""Which pushed series are sampled together: a sender says it only by the times of its samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from trackside.server.series import Float64s, Int64s, Series


@dataclass(frozen=True, slots=True, eq=False)
class Bucket:
    """Series of one push whose samples have the same times."""

    times_ms: Int64s
    refs: Int64s
    """No duplicates."""
    values: Float64s
    """Shape (n, s)."""

    @property
    def key(self) -> bytes:
        return blake2b(self.times_ms.tobytes(), digest_size=16).digest()

    def part(self, members: Int64s) -> Bucket:
        return Bucket(self.times_ms, self.refs[members], self.values[:, members])


class Cohorts:
    """Remembers the group of each pushed series, so that a series stays in its frame."""

    def __init__(self, new_group: Callable[[str], int]) -> None:
        self._new_group = new_group
        self._group_of: Int64s = np.full(1024, -1, np.int64)
        self._by_times: dict[tuple[str, bytes], int] = {}
        self._last_key: dict[int, tuple[str, bytes]] = {}

    def assign(self, refs: Int64s, group_id: int) -> None:
        size = len(self._group_of)
        top = int(refs.max()) + 1 if len(refs) else 0
        if top > size:
            self._group_of = np.concatenate([self._group_of, np.full(max(top, 2 * size) - size, -1, np.int64)])
        self._group_of[refs] = group_id

    def parts(self, name: str, bucket: Bucket) -> list[tuple[int, Bucket]]:
        """`bucket` by the groups of its series. A new series joins the others of its bucket."""
        group_ids = self._groups(bucket.refs)
        first = int(group_ids[0])
        key = bucket.key
        if first >= 0 and bool((group_ids == first).all()):
            self._remember(name, key, first)
            return [(first, bucket)]
        fresh = group_ids < 0
        if fresh.any():
            group_ids[fresh] = self._home(name, key, group_ids[~fresh])
            self.assign(bucket.refs[fresh], int(group_ids[fresh][0]))
        found = [
            (group_id, bucket.part(np.flatnonzero(group_ids == group_id))) for group_id in np.unique(group_ids).tolist()
        ]
        for group_id, _ in found:
            self._remember(name, key, group_id)
        return found

    def move(self, name: str, bucket: Bucket, away_from: int) -> int:
        """Another group for series that are no longer sampled with the rest of theirs."""
        key = bucket.key
        group_id = self._by_times.get((name, key))
        if group_id is None or group_id == away_from:
            group_id = self._new_group(name)
        self.assign(bucket.refs, group_id)
        self._remember(name, key, group_id)
        return group_id

    def forget(self, group_ids: Sequence[int]) -> None:
        """Groups without samples. A series of theirs that comes back is grouped anew."""
        self._group_of[np.isin(self._group_of, np.array(group_ids, np.int64))] = -1
        for group_id in group_ids:
            key = self._last_key.pop(group_id, None)
            if key is not None and self._by_times.get(key) == group_id:
                del self._by_times[key]

    def _groups(self, refs: Int64s) -> Int64s:
        known = refs < len(self._group_of)
        found = np.full(len(refs), -1, np.int64)
        found[known] = self._group_of[refs[known]]
        return found

    def _home(self, name: str, key: bytes, of_others: Int64s) -> int:
        if len(of_others):
            group_ids, counts = np.unique(of_others, return_counts=True)
            return int(group_ids[counts.argmax()])
        group_id = self._by_times.get((name, key))
        return self._new_group(name) if group_id is None else group_id

    def _remember(self, name: str, key: bytes, group_id: int) -> None:
        old = self._last_key.get(group_id)
        if old is not None and self._by_times.get(old) == group_id:
            del self._by_times[old]
        self._last_key[group_id] = (name, key)
        self._by_times[(name, key)] = group_id


def buckets(series: Sequence[Series], refs: Int64s) -> Iterator[Bucket]:
    """Series with the same times together; a series that comes twice, in two buckets."""
    members: dict[tuple[bytes, int], list[int]] = {}
    seen: dict[tuple[bytes, int], int] = {}
    for at, (each, ref) in enumerate(zip(series, refs.tolist(), strict=True)):
        if not len(each.times_ms):
            continue
        key = each.times_ms.tobytes()
        times = seen.get((key, ref), 0)
        seen[key, ref] = times + 1
        members.setdefault((key, times), []).append(at)
    for group in members.values():
        # One copy of all columns: a copy of each costs more than all the rest here.
        values = np.concatenate([series[at].values for at in group], dtype=np.float64).reshape(len(group), -1).T
        times_ms = np.ascontiguousarray(series[group[0]].times_ms, np.int64)
        if len(times_ms) > 1 and not bool((np.diff(times_ms) > 0).all()):
            yield from _in_order(times_ms, refs[group], values)
        else:
            yield Bucket(times_ms, refs[group], values)


def _in_order(times_ms: Int64s, refs: Int64s, values: Float64s) -> Iterator[Bucket]:
    """A sender may break its promise of increasing times. Of samples at one time, each has a bucket of its own."""
    order = np.argsort(times_ms, kind="stable")
    times_ms, values = times_ms[order], values[order]
    while len(times_ms):
        first = np.concatenate([[True], np.diff(times_ms) > 0])
        yield Bucket(times_ms[first], refs, values[first])
        times_ms, values = times_ms[~first], values[~first]
