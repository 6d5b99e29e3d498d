"""Run beside the real pgqueuer: jobs of every kind, and a worker until all that are due are done."""

import asyncio
import sys
from datetime import timedelta

import psycopg
from pgqueuer import PgQueuer
from pgqueuer.db import PsycopgDriver
from pgqueuer.domain.models import CronExpressionEntrypoint
from pgqueuer.domain.types import QueueExecutionMode
from pgqueuer.queries import Queries

PAYLOAD = b'{"to": 1, "password": "s3cret"}'


async def main():
    async with await psycopg.AsyncConnection.connect(sys.argv[1], autocommit=True) as connection:
        driver = PsycopgDriver(connection)
        queries = Queries(driver)
        if "install" in sys.argv:
            await queries.install()
            return
        worker = PgQueuer(driver)

        @worker.entrypoint("send")
        async def send(job): ...

        @worker.entrypoint("fail")
        async def fail(job):
            raise ValueError("no: redis://:hunter2@cache")

        @worker.entrypoint("stuck")
        async def stuck(job):
            print("runs", flush=True)
            await asyncio.sleep(60)

        if "stuck" in sys.argv:
            await queries.enqueue("stuck", PAYLOAD)
        else:
            await queries.enqueue(["send", "send", "fail"], [PAYLOAD] * 3, [0] * 3)
        await worker.qm.run(mode=QueueExecutionMode.drain)
        await queries.enqueue("send", PAYLOAD, execute_after=timedelta(hours=1))
        await queries.enqueue("send", PAYLOAD)
        await queries.insert_schedule({CronExpressionEntrypoint("tick", "* * * * *"): timedelta(minutes=1)})


asyncio.run(main())
