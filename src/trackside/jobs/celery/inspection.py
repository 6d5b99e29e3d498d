"""Asks Celery's workers what they run and from where they take it, now and then, on a thread of its own.

A question is a message, and has to be written: with a connection of its own, only if an application gives one.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from trackside.exceptions import SourceError
from trackside.jobs.celery.broker import SEPARATOR, Settings
from trackside.jobs.celery.listener import Listener
from trackside.jobs.celery.messages import ActiveTask, opened, seconds_ms
from trackside.jobs.celery.pidbox import broadcast
from trackside.jobs.redis_store import RedisStore

_EVERY_S = 60.0
_ANSWERS_S = 1.0
_QUESTIONS = ("active", "active_queues")
_EXCHANGE = "reply.celery.pidbox"
_MAX_ANSWERS = 2_000


class Inspection:
    def __init__(self, store: RedisStore, settings: Settings, listener: Listener, every_s: float = _EVERY_S) -> None:
        self.error = ""
        self._store = store
        self._settings = settings
        self._listener = listener
        self._every_s = every_s
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trackside-celery-inspection", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_closed.set()
        self._thread.join(5)
        self._store.close()

    def _run(self) -> None:
        while not self._is_closed.is_set():
            try:
                self._inspect()
            except SourceError as error:
                self.error = str(error)
            else:
                self.error = ""
            self._is_closed.wait(self._every_s)

    def _inspect(self) -> None:
        self._listener.wait_until_listening(_ANSWERS_S)
        asked_ms = self._listener.now_ms()
        for question, worker, answer in self._answers(asked_ms):
            with self._listener.lock:
                if question == "active":
                    self._listener.tasks.hear_active(worker, _active(answer), asked_ms)
                elif question == "active_queues":
                    self._listener.tasks.hear_queues(worker, _queues(answer), asked_ms)

    def _answers(self, asked_ms: int) -> Iterator[tuple[str, str, Any]]:
        own = uuid.uuid4().hex
        prefix = self._settings.prefix
        queue, bindings = f"{own}.{_EXCHANGE}", f"{prefix}_kombu.binding.{_EXCHANGE}"
        binding = SEPARATOR.join((own, "", queue))
        tickets = {uuid.uuid4().hex: question for question in _QUESTIONS}
        asked = self._store.pipeline()
        asked.sadd(bindings, binding)
        for ticket, question in tickets.items():
            channel = f"{prefix}{self._settings.fanout_prefix.format(db=self._settings.db)}celery.pidbox"
            asked.publish(channel, _question(question, own, ticket, asked_ms))
        self._store.answers(asked)
        try:
            for _ in range(_MAX_ANSWERS):
                asked = self._store.pipeline()
                asked.brpop(prefix + queue, _ANSWERS_S)
                (found,) = self._store.answers(asked)
                if not found:
                    return
                headers, body = opened(found[1])
                for worker, answer in body.items() if isinstance(body, dict) else ():
                    yield tickets.get(str(headers.get("ticket")), ""), str(worker)[:200], answer
        finally:
            asked = self._store.pipeline()
            asked.srem(bindings, binding)
            asked.delete(prefix + queue)
            self._store.answers(asked)


def _question(method: str, own: str, ticket: str, asked_ms: int) -> str:
    body = {
        "method": method,
        "arguments": {},
        "destination": None,
        "pattern": None,
        "matcher": None,
        "ticket": ticket,
        "reply_to": {"exchange": _EXCHANGE, "routing_key": own},
    }
    return broadcast(body, asked_ms)


def _active(answer: Any) -> Sequence[ActiveTask]:
    return [
        ActiveTask(
            id=one["id"][:200],
            kind=str(one.get("name") or "")[:200],
            queue=str(_dict(one.get("delivery_info")).get("routing_key") or "")[:200],
            started_ms=seconds_ms(one.get("time_start")),
            args=one.get("args"),
            kwargs=one.get("kwargs"),
        )
        for one in (answer if isinstance(answer, list) else ())
        if isinstance(one, dict) and isinstance(one.get("id"), str)
    ]


def _queues(answer: Any) -> tuple[str, ...]:
    listed = answer if isinstance(answer, list) else []
    names = [one.get("name") for one in listed if isinstance(one, dict)]
    return tuple(name[:200] for name in names[:500] if isinstance(name, str))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
