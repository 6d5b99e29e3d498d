"""What a user of Redis needs to act on jobs: the commands that are used, on the keys of that library, and no more.

ACL SETUSER trackside_acts on >secret followed by one of these.
"""

from __future__ import annotations

from collections.abc import Sequence

from trackside.jobs.arq.wire import QUEUE
from trackside.jobs.celery.broker import Settings

# A script is allowed to do what its user may do.
_READ = "+@read +@connection +time -@dangerous"


def rq_rights(prefix: str = "rq") -> str:
    lists = "+lpush +rpush +lrem"
    sets = "+sadd +srem +zadd +zrem +zpopmin"
    return f"{_READ} +eval +publish +set +del +hset +persist +expire {lists} {sets} ~{prefix}:* &{prefix}:pubsub:*"


def arq_rights(queues: Sequence[str] = (QUEUE,)) -> str:
    named = " ".join(f"~{queue}" for queue in queues if not queue.startswith("arq:"))
    return f"{_READ} +eval +del +zadd +zrem ~arq:* {named}".rstrip()


def dramatiq_rights(namespace: str = "dramatiq") -> str:
    return f"{_READ} +eval +hset +hdel +zrem +lrem +rpush ~{namespace}:*"


def celery_rights(settings: Settings | None = None) -> str:
    """Queues may have any name. Workers are asked what they run, and answer to a list that is deleted again."""
    settings = settings or Settings()
    channel = f"{settings.prefix}{settings.fanout_prefix.format(db=settings.db)}celery.pidbox"
    return f"{_READ} +eval +publish +lrem +sadd +srem +brpop +del ~{settings.prefix}* &{channel}"
