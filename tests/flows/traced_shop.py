"""A shop whose orders are priced by workers: one process serves, others run the jobs of RQ, Celery and arq.

The test that starts them says where everything is in the environment.
"""

import asyncio
import os
import sys
from pathlib import Path

import anthropic
import redis
from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker as ArqWorker
from celery import Celery
from fastapi import FastAPI
from rq import Queue, Worker
from sqlalchemy import create_engine, text

from trackside import Monitor

monitor = Monitor("shop")
monitor.traces()

REDIS = os.environ["REDIS_URL"]
model = monitor.watch(anthropic.Anthropic(base_url=os.environ["AI_URL"], api_key="none", max_retries=0))
engine = monitor.watch(create_engine(os.environ["DATABASE_URL"]))
queue = monitor.watch(Queue("orders", connection=redis.Redis.from_url(REDIS)))
tasks = monitor.watch(Celery("shop", broker="filesystem://"))
WRITTEN, QUEUED, CONTROL = (Path(os.environ["BROKER_FOLDER"], name) for name in ("written", "queued", "control"))
for folder in (WRITTEN, QUEUED, CONTROL):
    folder.mkdir(parents=True, exist_ok=True)
tasks.conf.broker_transport_options = {
    "data_folder_in": str(QUEUED),
    "data_folder_out": str(WRITTEN),
    "control_folder": str(CONTROL),
}

app = FastAPI()
monitor.watch(app)


def price(order):
    model.messages.create(
        model="claude-sonnet-5", max_tokens=50, messages=[{"role": "user", "content": f"What is {order} worth?"}]
    )
    with engine.begin() as connection:
        connection.execute(text("insert into orders (name) values (:name)"), {"name": order})


@tasks.task(name="price")
def price_with_celery(order):
    price(order)


async def price_with_arq(ctx, order):
    await asyncio.to_thread(price, order)


@app.post("/orders/rq")
def order_with_rq():
    queue.enqueue(price, "rq")


@app.post("/orders/celery")
def order_with_celery():
    price_with_celery.delay("celery")
    # A worker stops with an error when it reads a file that is being written.
    for message in WRITTEN.iterdir():
        message.rename(QUEUED / message.name)


@app.post("/orders/arq")
async def order_with_arq():
    pool = monitor.watch(await create_pool(RedisSettings.from_dsn(REDIS)))
    await pool.enqueue_job("price_with_arq", "arq")
    await pool.aclose()


def work(kind):
    """Jobs that wait, until there are none; Celery knows no end."""
    if kind == "rq":
        monitor.watch(Worker([queue], connection=queue.connection)).work(burst=True)
    elif kind == "celery":
        tasks.worker_main(["worker", "--concurrency=1", "--loglevel=WARNING", "--without-gossip", "--without-mingle"])
    else:
        worker = ArqWorker([price_with_arq], redis_settings=RedisSettings.from_dsn(REDIS), burst=True)
        monitor.watch(worker).run()


if __name__ == "__main__":
    # Under the name by which the jobs know this module.
    import traced_shop

    traced_shop.work(sys.argv[1])
