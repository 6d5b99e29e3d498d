"""The service: `uvicorn ecommerce_api.api:app`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anthropic
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ecommerce_api import assistant, customers, database, imports, integrations
from ecommerce_api.monitoring import monitor
from ecommerce_api.settings import IMPORT_EVERY_S
from ecommerce_api.tools import mcp

_mcp_app = mcp.streamable_http_app(streamable_http_path="/", stateless_http=True, json_response=True)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    database.create_tables()
    pages = imports.all_pages()
    for _ in range(imports.PAGES_AT_START):
        await asyncio.to_thread(imports.run_import, pages)
    imports.watch_the_business(IMPORT_EVERY_S)

    async def import_now_and_then() -> None:
        while True:
            await asyncio.sleep(IMPORT_EVERY_S)
            # The next one tries again; that none succeeds shows in the age of the last that did.
            with suppress(SQLAlchemyError):
                await asyncio.to_thread(imports.run_import, pages)

    importing = asyncio.create_task(import_now_and_then())
    async with mcp.session_manager.run():
        yield
    importing.cancel()


app = FastAPI(title="E-commerce API", lifespan=_lifespan)
app.mount("/mcp", _mcp_app)
monitor.watch(app)
monitor.health.check("db", database.answers)


class Question(BaseModel):
    customer_id: int
    question: str


@app.get("/customers")
def list_customers(limit: int = 20) -> list[customers.Profile]:
    return customers.most_valuable(min(limit, 100))


@app.get("/customers/{customer_id}")
def customer(customer_id: int) -> customers.Profile:
    return customers.profile(customer_id)


@app.get("/customers/{customer_id}/support")
def support(customer_id: int) -> dict[str, Any]:
    # The mistake of this service: it keeps a connection of its database while it waits for another service. When
    # Gorgias is slow the pool runs dry, and everything else fails with it: see RUNBOOK.md.
    with database.Session() as session:
        profile = customers.read_profile(session, customer_id)
        return {"customer": profile, "tickets": integrations.open_tickets(customer_id)}


@app.get("/churn/predictions")
def predictions(limit: int = 20) -> list[customers.Profile]:
    return customers.at_high_risk(min(limit, 100))


@app.post("/churn/predictions/{customer_id}/notify", status_code=202)
def notify(customer_id: int) -> dict[str, str]:
    profile = customers.profile(customer_id)
    integrations.post_message("#accounts", f"{profile['name']}: churn risk {profile['churn_risk']:.0%}")
    return {"status": "sent"}


@app.get("/archetypes")
def archetypes() -> list[str]:
    return customers.archetypes()


@app.post("/questions")
def ask(question: Question) -> dict[str, str]:
    return {"answer": assistant.answer(question.question, customers.profile(question.customer_id))}


@app.exception_handler(customers.NoSuchCustomerError)
def no_such_customer(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 404)


@app.exception_handler(PoolTimeoutError)
def too_busy(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": "no connection to the database is free"}, 503)


@app.exception_handler(integrations.IntegrationError)
@app.exception_handler(anthropic.APIError)
def bad_gateway(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, 502)
