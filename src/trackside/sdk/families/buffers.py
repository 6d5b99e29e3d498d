"""Buffers of users: how full each is, while the user is there."""

from __future__ import annotations

import weakref

from trackside.instruments.measured import OVERFLOW
from trackside.sdk.families.maker import Maker
from trackside.sdk.families.places import Places

MAX_USERS = 500


class Buffers:
    """One for a monitor. The buffers of users beyond five hundred at a time are added up in one series, so that their
    fill is that of all of them together."""

    def __init__(self, make: Maker) -> None:
        self.sizes = make.gauge("buffer_size", "Samples in the buffer of a user.", ("user_id",))
        self.capacities = make.gauge("buffer_capacity", "Samples that the buffer can hold.", ("user_id",))
        self.guard = make.guard
        self.lock = make.lock
        self._users = Places(MAX_USERS, make.lock)
        self._own: dict[str, Buffer] = {}
        # The application keeps those without a place; what it drops must not stay in the sum.
        self._others: weakref.WeakValueDictionary[str, Buffer] = weakref.WeakValueDictionary()

    def of(self, user_id: object, capacity: float) -> Buffer:
        """The buffer of this user, the same one until it is closed."""
        try:
            found = self._own[user_id]  # type: ignore[index]
        except Exception:  # noqa: BLE001 - not seen before, or of a type that refuses to be a key
            found = self._new(user_id)
        found.resize(capacity)
        return found

    def forget(self, user: str, label: str) -> None:
        if label == OVERFLOW:
            self._others.pop(user, None)
            return
        self._own.pop(user, None)
        self._users.free(user)
        self.sizes.remove(label)
        self.capacities.remove(label)

    def _new(self, user_id: object) -> Buffer:
        user = OVERFLOW
        with self.guard.shielded("name a user"):
            user = str(user_id)
        with self.lock:
            label = self._users.of(user)
            buffers = self._own if label != OVERFLOW else self._others
            user = label if label != OVERFLOW else user
            found = buffers.get(user)
            if found is None:
                found = buffers[user] = (SharedBuffer if label == OVERFLOW else Buffer)(self, user, label)
            return found


class Buffer:
    """Its methods never raise."""

    def __init__(self, buffers: Buffers, user: str, label: str) -> None:
        self._buffers = buffers
        self._user = user
        self._label = label
        self._size = buffers.sizes.labels(label)
        self._capacity = buffers.capacities.labels(label)
        self._shown = [0.0, 0.0]
        self._closed = False

    def set(self, size: float) -> None:
        """How many samples there are now."""
        try:
            self._show(float(size), self._shown[1])
        except Exception as error:  # noqa: BLE001 - the host must not notice us
            self._buffers.guard.failed("show a buffer", error)

    def inc(self, samples: float = 1) -> None:
        try:
            with self._buffers.lock:
                self._show(self._shown[0] + samples, self._shown[1])
        except Exception as error:  # noqa: BLE001 - as above
            self._buffers.guard.failed("show a buffer", error)

    def dec(self, samples: float = 1) -> None:
        try:
            self.inc(-samples)
        except Exception as error:  # noqa: BLE001 - as above
            self._buffers.guard.failed("show a buffer", error)

    def resize(self, capacity: float) -> None:
        try:
            if capacity != self._shown[1]:
                self._show(self._shown[0], float(capacity))
        except Exception as error:  # noqa: BLE001 - as above
            self._buffers.guard.failed("show a buffer", error)

    def close(self) -> None:
        """The user is gone: not shown any more."""
        with self._buffers.guard.shielded("close a buffer"), self._buffers.lock:
            if not self._closed:
                self._show(0.0, 0.0)
                self._closed = True
                self._buffers.forget(self._user, self._label)

    def __enter__(self) -> Buffer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    async def __aenter__(self) -> Buffer:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()

    def _show(self, size: float, capacity: float) -> None:
        with self._buffers.lock:
            if self._closed:
                return
            self._size.set(size)
            if capacity != self._shown[1]:
                self._capacity.set(capacity)
            self._shown[:] = size, capacity


class SharedBuffer(Buffer):
    """One of those that are added up."""

    def __init__(self, buffers: Buffers, user: str, label: str) -> None:
        super().__init__(buffers, user, label)
        weakref.finalize(self, _take_back, buffers, self._shown).atexit = False

    def _show(self, size: float, capacity: float) -> None:
        with self._buffers.lock:
            if not self._closed:
                self._size.inc(size - self._shown[0])
                self._capacity.inc(capacity - self._shown[1])
                self._shown[:] = size, capacity


def _take_back(buffers: Buffers, shown: list[float]) -> None:
    with buffers.guard.shielded("forget a buffer"):
        buffers.sizes.labels(OVERFLOW).dec(shown[0])
        buffers.capacities.labels(OVERFLOW).dec(shown[1])
