"""The shop: an ordinary FastAPI service with a slow route, one that fails now and then, and an outage on schedule."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import deque
from typing import Any

from fastapi import FastAPI, HTTPException

from trackside import Monitor

OUTAGE_FIRST_S = 15.0
"""When the payment provider first fails, in seconds after the start: late enough for a chart of calm before it."""
OUTAGE_LASTS_S = 20.0
OUTAGE_EVERY_S = 240.0
BASE_FAILURE_SHARE = 0.01
OUTAGE_FAILURE_SHARE = 0.75
STOCK = {f"sku-{number}": number % 7 for number in range(1, 41)}

app = FastAPI(title="Shop")
monitor = Monitor("shop")
monitor.watch(app)

orders_placed = monitor.counter("shop_orders_placed_total", "Orders placed.", labels=("payment",))
basket_value = monitor.histogram("shop_basket_value_euros", "Value of a basket.", buckets=(5, 10, 20, 50, 100, 200))
orders: deque[dict[str, Any]] = deque(maxlen=10_000)
orders_waiting = monitor.gauge("shop_orders_waiting", "Orders that no worker has taken yet.")
_started_s = float(os.environ.get("TRACKSIDE_DEMO_STARTED", time.time()))
_random = random.Random(7)


def payment_is_down(running_s: float) -> bool:
    """Whether the payment provider fails at this many seconds after the start."""
    return running_s >= OUTAGE_FIRST_S and (running_s - OUTAGE_FIRST_S) % OUTAGE_EVERY_S < OUTAGE_LASTS_S


def orders_are_taken() -> bool:
    return len(orders) < 9_000


monitor.health.check("orders", orders_are_taken)


@app.get("/")
async def front_page() -> dict[str, str]:
    await _work(0.002, 0.008)
    return {"shop": "open"}


@app.get("/products")
async def products() -> list[str]:
    await _work(0.008, 0.03)
    return list(STOCK)


@app.get("/products/{sku}")
async def product(sku: str) -> dict[str, Any]:
    await _work(0.004, 0.02)
    if sku not in STOCK:
        raise HTTPException(404, "no such product")
    return {"sku": sku, "stock": STOCK[sku]}


@app.get("/search")
async def search(q: str = "") -> list[str]:
    # The slow one: its tail is what p99 is for.
    await _work(0.15, 0.45 if _random.random() < 0.9 else 1.8)
    return [sku for sku in STOCK if q in sku]


@app.post("/checkout", status_code=201)
async def checkout(payment: str = "card") -> dict[str, Any]:
    await _work(0.03, 0.12)
    share = OUTAGE_FAILURE_SHARE if payment_is_down(time.time() - _started_s) else BASE_FAILURE_SHARE
    if _random.random() < share:
        raise HTTPException(502, "the payment provider does not answer")
    value = round(_random.lognormvariate(3.2, 0.7), 2)
    order = {"order": _random.randrange(10**9), "value": value}
    orders.append(order)
    orders_waiting.set(len(orders))
    # What may become a label is a closed list: a caller must not be able to make series.
    orders_placed.labels(payment if payment in ("card", "invoice") else "other").inc()
    basket_value.observe(value)
    return order


@app.post("/orders/take")
async def take_orders(most: int = 5) -> list[dict[str, Any]]:
    taken = [orders.popleft() for _ in range(min(most, 50, len(orders)))]
    orders_waiting.set(len(orders))
    return taken


async def _work(low_s: float, high_s: float) -> None:
    await asyncio.sleep(_random.uniform(low_s, high_s))
