"""Run beside the real procrastinate: jobs of every kind, and a worker until all that are due are done."""

import asyncio
import sys

import procrastinate

app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=sys.argv[1]))


@app.task(queue="mail", name="send")
async def send(to, password=None): ...


@app.task(queue="mail", name="fail")
async def fail():
    raise ValueError("no")


@app.task(queue="mail", name="again", retry=procrastinate.RetryStrategy(max_attempts=3, wait=3600))
async def again():
    raise ValueError("not yet")


@app.periodic(cron="* * * * *")
@app.task(queue="mail", name="tick")
async def tick(timestamp): ...


async def main():
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for number in range(3):
            await send.defer_async(to=number, password="s3cret")
        await fail.defer_async()
        await again.defer_async()
        ticks = set()
        # The tick of this minute is deferred beside the others: perhaps when the worker has looked for the last time.
        while ticks != {"succeeded"}:
            await app.run_worker_async(wait=False, install_signal_handlers=False, queues=["mail"])
            ticks = {job.status for job in await app.job_manager.list_jobs_async(task="tick")}
        await send.configure(schedule_in={"hours": 1}).defer_async(to=8)
        await send.configure(queue="high").defer_async(to=9)
        await send.configure(queue="high").defer_async(to=10)


asyncio.run(main())
