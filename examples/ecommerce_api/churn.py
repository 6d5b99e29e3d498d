"""How likely a customer is to leave: a small model, so that the example needs no other."""

from __future__ import annotations

from math import exp

HIGH_RISK = 0.8


def churn_risk(orders: int, days_since_order: int) -> float:
    """From 0 to 1. Silence for long against the customer's own habit is what tells."""
    usual_pause_days = 365 / max(orders, 1)
    return 1 / (1 + exp(-(days_since_order - 1.5 * usual_pause_days) / 30))
