"""Imports: a page of the shop's customer list at a time, scored and written to the database."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count

from sqlalchemy import func, select

from ecommerce_api.churn import HIGH_RISK, churn_risk
from ecommerce_api.database import Archetype, Customer, Session
from ecommerce_api.monitoring import archetypes_loaded, customers_loaded, last_import, monitor

ARCHETYPES = ("bargain hunter", "loyalist", "gift giver", "one-timer")
CUSTOMERS = 1_200
PAGE = 100
PAGES_AT_START = 7


def run_import(pages: Iterator[range]) -> None:
    """Load the next page. Customers that are there already are brought up to date."""
    rows = [_customer(number) for number in next(pages)]
    with Session.begin() as session:
        for number, name in enumerate(ARCHETYPES, 1):
            session.merge(Archetype(id=number, name=name))
        for row in rows:
            session.merge(row)
    archetypes_loaded.inc(len(ARCHETYPES))
    customers_loaded.inc(len(rows))
    last_import.set_to_current_time()


def all_pages() -> Iterator[range]:
    """The ids of each page, round and round."""
    for page in count():
        first = page * PAGE % CUSTOMERS + 1
        yield range(first, first + PAGE)


def watch_the_business(every_s: float) -> None:
    """Numbers that are queries: asked on a thread now and then, not by every scrape."""
    monitor.business(
        "churn_predictions_high_risk", _at_high_risk, help="Customers at high risk of leaving.", interval_s=every_s
    )
    monitor.business(
        "customer_lifetime_value_dollars",
        _lifetime_values,
        percentiles=(0.5, 0.9, 0.99),
        help="What customers have spent.",
        interval_s=every_s,
    )


def _at_high_risk() -> int:
    with Session() as session:
        return session.scalar(select(func.count()).where(Customer.churn_risk >= HIGH_RISK)) or 0


def _lifetime_values() -> list[float]:
    with Session() as session:
        return list(session.scalars(select(Customer.lifetime_value)))


def _customer(number: int) -> Customer:
    """Stands for a row of the shop's export: the same number is always the same customer."""
    chance = random.Random(number)
    orders = 1 + int(chance.expovariate(0.25))
    days_since_order = int(chance.expovariate(1 / 90))
    return Customer(
        id=number,
        name=f"Customer {number}",
        archetype_id=1 + number % len(ARCHETYPES),
        orders=orders,
        days_since_order=days_since_order,
        lifetime_value=round(orders * chance.lognormvariate(3.6, 0.6), 2),
        churn_risk=churn_risk(orders, days_since_order),
    )
