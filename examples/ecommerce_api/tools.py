"""The MCP server of the service: what an assistant may ask of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ecommerce_api import customers, integrations
from ecommerce_api.monitoring import monitor

mcp = monitor.watch(MCPServer("ecommerce", instructions="Customers of an online shop.", log_level="WARNING"))


@mcp.tool()
def customer_profile(customer_id: int) -> customers.Profile:
    """Orders, value and churn risk of one customer."""
    with _told():
        return customers.profile(customer_id)


@mcp.tool()
def high_risk_customers(limit: int = 10) -> list[customers.Profile]:
    """The customers who are most likely to leave."""
    with _told():
        return customers.at_high_risk(min(limit, 50))


@mcp.tool()
def open_tickets(customer_id: int) -> list[str]:
    """Subjects of the tickets that a customer has open."""
    with _told():
        return [ticket["subject"] for ticket in integrations.open_tickets(customer_id)]


@contextmanager
def _told() -> Iterator[None]:
    """What is expected to fail is told to the assistant in words; anything else is a crash of the tool."""
    try:
        yield
    except (customers.NoSuchCustomerError, integrations.IntegrationError, PoolTimeoutError) as error:
        raise ToolError(str(error)) from error
