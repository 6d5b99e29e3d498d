"""A Redis server that is only read: connected to, asked in pipelines, and its refusals in sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from trackside.exceptions import SourceError

READ_ONLY_RULES = "+@read +@connection +time -@dangerous ~* &*"
"""What the user of a source needs: ACL SETUSER trackside on >secret followed by these."""

_CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")
_TIMEOUT_S = 5.0


class RedisStore:
    """Blocks, for at most a few seconds. A pipeline belongs to one thread."""

    def __init__(self, client: Any, errors: ModuleType, where: str) -> None:
        """`client` is a redis.Redis that answers in bytes; `errors` is redis.exceptions; `where` is for messages."""
        self.where = where
        self._client = client
        self._errors = errors

    def now_ms(self) -> int:
        """By the server's clock."""
        return time_ms(self._run(self._client.time))

    def pipeline(self) -> Any:
        """To be filled with commands, and handed to `answers`."""
        return self._client.pipeline(transaction=False)

    def answers(self, asked: Any) -> list[Any]:
        """One answer to each command. None: the key is of another type than it should be.

        Raises:
            SourceError: the server cannot be reached, or this user may not run one of the commands.
        """
        if not len(asked):
            return []
        answers: Sequence[Any] = self._run(lambda: asked.execute(raise_on_error=False))
        return [self._checked(answer) for answer in answers]

    def client(self) -> Any:
        """For what is not a question: listening."""
        return self._client

    @property
    def lost(self) -> tuple[type[Exception], ...]:
        """What a client raises when its server is gone."""
        return (self._errors.RedisError, OSError)

    @property
    def refusals(self) -> tuple[type[Exception], ...]:
        """What it raises when a server is there, and does not do what it is told."""
        return (self._errors.ResponseError,)

    def close(self) -> None:
        self._client.close()

    def _run(self, work: Any) -> Any:
        try:
            return work()
        except (self._errors.RedisError, OSError) as error:
            raise self._unreachable(error) from error

    def _checked(self, answer: Any) -> Any:
        if not isinstance(answer, Exception):
            return answer
        if isinstance(answer, self._errors.ResponseError) and str(answer).startswith("WRONGTYPE"):
            return None
        raise self._unreachable(answer) from answer

    def _unreachable(self, error: Exception) -> SourceError:
        text = str(error) or type(error).__name__
        if isinstance(error, self._errors.NoPermissionError) or "NOPERM" in text:
            return SourceError(f"{self.where} refuses a command: {text}. Its user needs: {READ_ONLY_RULES}")
        if isinstance(error, self._errors.AuthenticationError) or "WRONGPASS" in text or "NOAUTH" in text:
            return SourceError(f"{self.where} does not accept these credentials: {text}")
        if isinstance(error, self._errors.TimeoutError | TimeoutError):
            return SourceError(
                f"{self.where} did not answer within {_TIMEOUT_S:.0f} s: it is busy or cannot be reached"
            )
        return SourceError(f"{self.where} cannot be read: {text}")


def connected(url: str) -> RedisStore:
    """Connects at the first question, and again after each loss.

    Raises:
        SourceError: the URL makes no sense, or redis-py is not installed.
    """
    try:
        import redis  # noqa: PLC0415 - who watches no Redis need not install its client
    except ImportError as error:
        raise SourceError("To watch jobs in Redis, install its client: pip install redis") from error
    where = f"Redis at {_CREDENTIALS.sub('', url)}"
    options: dict[str, Any] = {
        "socket_timeout": _TIMEOUT_S,
        "socket_connect_timeout": _TIMEOUT_S,
        "health_check_interval": 30,
        "decode_responses": False,
    }
    if int(redis.__version__.split(".")[0]) >= 5:
        # The newer protocol answers the same questions in other shapes.
        options["protocol"] = 2
    try:
        client = redis.Redis.from_url(url, **options)
    except ValueError as error:
        raise SourceError(f"{where}: {error}") from error
    return RedisStore(client, redis.exceptions, where)


def time_ms(answer: Sequence[Any]) -> int:
    """What the server answers to TIME: seconds, and microseconds within them."""
    seconds, microseconds = answer
    return int(seconds) * 1000 + int(microseconds) // 1000


def text(value: Any) -> str:
    """Of a key, a member or a field; whatever bytes they are."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return "" if value is None else str(value)


def encoded(id: str) -> bytes:
    """Of whatever a page was asked for."""
    return id.encode("utf-8", "backslashreplace")
