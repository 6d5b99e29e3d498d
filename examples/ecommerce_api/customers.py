"""Reading customers and their predictions, through the caches."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as OrmSession

from ecommerce_api.cache import Cache
from ecommerce_api.churn import HIGH_RISK
from ecommerce_api.database import Archetype, Customer, Session

Profile = dict[str, Any]

_profiles = Cache[Profile]("customer_profiles", keep_s=5)
_predictions = Cache[list[Profile]]("churn_predictions", keep_s=2)
_archetypes = Cache[list[str]]("archetypes", keep_s=60)


class NoSuchCustomerError(Exception):
    """There is no customer of this number."""


def profile(customer_id: int) -> Profile:
    """
    Raises:
        NoSuchCustomerError
    """

    def read() -> Profile:
        with Session() as session:
            return read_profile(session, customer_id)

    return _profiles.get(customer_id, read)


def read_profile(session: OrmSession, customer_id: int) -> Profile:
    """
    Raises:
        NoSuchCustomerError
    """
    found = session.get(Customer, customer_id)
    if found is None:
        raise NoSuchCustomerError(f"there is no customer {customer_id}")
    return _shown(found)


def most_valuable(limit: int) -> list[Profile]:
    with Session() as session:
        found = session.scalars(select(Customer).order_by(Customer.lifetime_value.desc()).limit(limit))
        return [_shown(customer) for customer in found]


def at_high_risk(limit: int) -> list[Profile]:
    def read() -> list[Profile]:
        with Session() as session:
            query = select(Customer).where(Customer.churn_risk >= HIGH_RISK).order_by(Customer.churn_risk.desc())
            return [_shown(customer) for customer in session.scalars(query.limit(limit))]

    return _predictions.get(limit, read)


def archetypes() -> list[str]:
    def read() -> list[str]:
        with Session() as session:
            return list(session.scalars(select(Archetype.name).order_by(Archetype.id)))

    return _archetypes.get("all", read)


def _shown(customer: Customer) -> Profile:
    return {
        "id": customer.id,
        "name": customer.name,
        "orders": customer.orders,
        "days_since_order": customer.days_since_order,
        "lifetime_value": customer.lifetime_value,
        "churn_risk": round(customer.churn_risk, 3),
    }
