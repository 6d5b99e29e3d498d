"""Stand for Slack, PagerDuty and a mail server on this machine, and show what they were told:
`python -m railgun.stand_ins --port 9001 --smtp-port 2525 --keep told.jsonl`."""

from __future__ import annotations

import argparse
import asyncio
import html
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import HTMLResponse, PlainTextResponse

from railgun.smtp_server import Mail, serve_smtp

WEBHOOK = "/services/T00000000/B00000000/railgun"
ROUTING_KEY = "0123456789abcdef0123456789abcdef"
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="3">
<meta name="viewport" content="width=device-width"><title>Who was told what</title>
<style>:root{{color-scheme:light dark}}body{{font:15px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}}
td{{padding:.3rem 1rem .3rem 0;vertical-align:top}}</style>
<h1>Who was told what</h1><p>Slack, PagerDuty and a mail server stand here; the newest first.</p><table>{}</table>"""


class Told:
    """What arrived, by channel: shown, and written down line by line."""

    def __init__(self, keep: Path) -> None:
        self._keep = keep
        self._latest: deque[tuple[str, str]] = deque(maxlen=200)

    def add(self, channel: str, title: str, content: dict[str, Any]) -> None:
        self._latest.append((channel, title))
        with self._keep.open("a") as file:
            file.write(json.dumps({"channel": channel, "title": title, "content": content}) + "\n")

    def page(self) -> str:
        rows = (f"<tr><td>{one}<td>{html.escape(title)}" for one, title in reversed(self._latest))
        return _PAGE.format("".join(rows) or "<tr><td>Nothing yet.")


def application(told: Told, smtp_port: int) -> FastAPI:
    async def take_mail(mail: Mail) -> None:
        about = {"from": mail.sender, "to": list(mail.receivers), "subject": mail.subject, "text": mail.text}
        told.add("email", mail.subject, about)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with await asyncio.start_server(serve_smtp(take_mail), "127.0.0.1", smtp_port):
            yield

    app = FastAPI(title="Stand-ins", lifespan=lifespan)

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/")
    async def page() -> HTMLResponse:
        return HTMLResponse(told.page())

    @app.post(WEBHOOK)
    async def slack(request: Request) -> PlainTextResponse:
        message = await request.json()
        attachments = message.get("attachments") or [{}]
        title = attachments[0].get("title") or message.get("text")
        if not title:
            raise HTTPException(400, "no_text")
        told.add("slack", title, message)
        return PlainTextResponse("ok")

    @app.post("/v2/enqueue", status_code=202)
    async def pagerduty(request: Request) -> dict[str, str]:
        event = await request.json()
        if event.get("routing_key") != ROUTING_KEY or event.get("event_action") not in ("trigger", "resolve"):
            raise HTTPException(400, {"status": "invalid event"})
        told.add("pagerduty", f"{event['event_action']}: {event.get('payload', {}).get('summary', '')}", event)
        return {"status": "success", "message": "Event processed", "dedup_key": event["dedup_key"]}

    return app


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--keep", type=Path, required=True, help="a file, a line of JSON for each notification")
    options = parser.parse_args()
    uvicorn.run(application(Told(options.keep), options.smtp_port), port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
