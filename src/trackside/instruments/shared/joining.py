"""Finds the other processes of an application for a new registry, and follows the process when it forks."""

from __future__ import annotations

import atexit
import os
import weakref
from functools import partial
from pathlib import Path

from trackside.instruments.registry import Registry
from trackside.instruments.shared import place, processes
from trackside.instruments.shared.membership import Membership
from trackside.instruments.shared.publisher import Publisher


def share(registry: Registry, service: str, where: str = "") -> Membership:
    """Show the values of all processes that serve `service` together: those that were forked, or started by
    multiprocessing, from one. Without others it costs nothing. `where` is a directory that any processes may share.
    """
    if isinstance(registry.membership, Membership):
        return registry.membership
    mine = processes.myself()
    leader = processes.leader(mine.id) or mine
    number = _here.number(service)
    directory = partial(Path, where) if where else partial(place.directory, service, number, leader)
    membership = Membership(registry, directory, 0 if where else leader.id, _here.start, _here.again)
    registry.membership = membership
    _here.add(membership)
    if where or leader.id != mine.id:
        membership.join()
    return membership


class _Here:
    """The memberships of this process: a fork concerns them all."""

    def __init__(self) -> None:
        self._members: weakref.WeakSet[Membership] = weakref.WeakSet()
        self._numbers: dict[str, int] = {}
        self._is_hooked = False
        self._publisher = Publisher(self._publish)

    def add(self, membership: Membership) -> None:
        self._members.add(membership)
        if not self._is_hooked:
            self._is_hooked = True
            os.register_at_fork(before=self._before, after_in_parent=self._start_again, after_in_child=self._in_child)
            atexit.register(self._at_exit)

    def start(self) -> None:
        """Publish from now on. Any number of times."""
        self._publisher.start()

    def again(self) -> None:
        """If there was no thread to be had."""
        self._publisher.again()

    def number(self, service: str) -> int:
        """A process may have several registries of one service, which must not be added up: its first belongs to the
        first of every other process."""
        number = self._numbers.get(service, 0)
        self._numbers[service] = number + 1
        return number

    def _before(self) -> None:
        self._publisher.stop()
        for membership in list(self._members):
            membership.join()
        # Joining starts it.
        self._publisher.stop()

    def _in_child(self) -> None:
        # What a child makes for itself counts from the first again.
        self._numbers.clear()
        for membership in list(self._members):
            membership.in_child()
        self._start_again()

    def _at_exit(self) -> None:
        for membership in list(self._members):
            membership.leave()
        self._publisher.stop()

    def _start_again(self) -> None:
        if any(membership.is_joined for membership in list(self._members)):
            self._publisher.start()

    def _publish(self) -> None:
        for membership in list(self._members):
            membership.publish()


# Of the process, as are the hooks: they cannot be taken back.
_here = _Here()
