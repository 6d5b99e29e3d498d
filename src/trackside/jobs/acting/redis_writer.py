"""A Redis server that is written to: in scripts, each of which is done as a whole or not at all."""

from __future__ import annotations

from typing import Any

from trackside.exceptions import SourceError
from trackside.jobs.actor import RefusedError
from trackside.jobs.redis_store import RedisStore, text

# The last two are of what a script is refused.
_FORBIDDEN = ("NOPERM", "permission", "can't run this command", "can't access at least one of the")


class RedisWriter:
    """Blocks, for at most a few seconds."""

    def __init__(self, store: RedisStore, rights: str) -> None:
        """`rights`: what its user needs, to be said when it has not got them."""
        self.store = store
        self._rights = rights

    def run(self, script: str, *values: str | bytes | int) -> str:
        """What the script answers, as text.

        Raises:
            RefusedError: a key is of another type than it should be, or the like.
            SourceError: the server cannot be reached, or this user may not do that.
        """
        return text(self._done(lambda client: client.eval(script, 0, *values)))

    def publish(self, channel: str, message: str) -> int:
        """How many have heard it."""
        return int(self._done(lambda client: client.publish(channel, message)))

    def close(self) -> None:
        self.store.close()

    def _done(self, work: Any) -> Any:
        try:
            return work(self.store.client())
        except self.store.lost as error:
            said = str(error) or type(error).__name__
            is_forbidden = any(words in said for words in _FORBIDDEN)
            if isinstance(error, self.store.refusals) and not is_forbidden:
                raise RefusedError(f"Redis refused: {said[:300]}") from error
            needs = f". Its user needs: {self._rights}" if is_forbidden else ""
            raise SourceError(f"{self.store.where} did not do it: {said}{needs}") from error
