"""How RQ names its keys."""

from __future__ import annotations

from dataclasses import dataclass

from trackside.jobs.redis_store import text


@dataclass(frozen=True, slots=True)
class Keys:
    prefix: str = "rq"

    def of(self, *parts: str) -> str:
        return ":".join((self.prefix, *parts))

    def queue(self, name: str) -> str:
        return self.of("queue", name)

    def intermediate(self, name: str) -> str:
        """Taken by a worker, and not begun yet."""
        return self.of("queue", name, "intermediate")

    def job(self, id: str) -> str:
        return self.of("job", id)

    def results(self, id: str) -> str:
        return self.of("results", id)

    def worker(self, name: str) -> str:
        return self.of("worker", name)

    def execution(self, member: str) -> str:
        return self.of("execution", member)

    def limited(self, limit: str) -> str:
        """Jobs that wait for a rate limit."""
        return self.of("rl", limit, "rate_limited")

    def name_in(self, kind: str, key: bytes) -> str:
        """ "default" of rq:queue:default; a member that is no such key is its own name."""
        return text(key).removeprefix(self.of(kind, ""))


def job_id(member: bytes) -> str:
    """Of a member of `wip`: the job, or the job and its execution. Ids themselves have no colon."""
    return text(member).split(":", 1)[0]
