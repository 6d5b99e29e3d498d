"""`/api/v1/rules/backtest`: when rules would have fired on what is stored, for the button beside a rule."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from trackside.exceptions import ConfigError, TracksideError
from trackside.server.backtest.desk import BacktestDesk
from trackside.server.backtest.result import Progress, as_json
from trackside.server.rules.config import RuleGroupConfig, parse_rule_file
from trackside.server.web.api.answers import answering, failure, success
from trackside.server.web.api.parameters import Parameters
from trackside.server.web.console import Console
from trackside.server.web.forms import ParameterError, form_of

MOST_DAYS = 400
DEFAULT_SINCE_MS = 7 * 86_400_000


@dataclass(frozen=True, slots=True)
class BacktestApi:
    console: Console

    def routes(self) -> list[BaseRoute]:
        return [Route("/api/v1/rules/backtest", answering(self.backtest), methods=["POST"])]

    async def backtest(self, request: Request) -> Response:
        """`rules`: the text of a rule file; without it the running rules, of which `rule_name` and `rule_group` choose.
        With `stream=true` the answer is a line of JSON for each step, the last with the result."""
        desk = self.console.backtests
        if desk is None:
            return failure("there is no store of our own to run rules on", "unavailable", 503)
        given = Parameters(await form_of(request), self.console.clock.now_ms())
        since_ms = given.duration_ms("since") if given.form.get("since") else DEFAULT_SINCE_MS
        if since_ms > MOST_DAYS * 86_400_000:
            raise ParameterError("since", f"at most {MOST_DAYS}d")
        groups = _groups(given, desk)
        if given.choice("stream", "false", "true") == "true":
            return StreamingResponse(_lines(desk, groups, since_ms), media_type="application/x-ndjson")
        return success(as_json(await desk.run(groups, since_ms, lambda progress: None)))


def _groups(given: Parameters, desk: BacktestDesk) -> Sequence[RuleGroupConfig]:
    texts = given.texts("rules")
    try:
        groups = parse_rule_file(texts[0], "rules") if texts else desk.running_groups(*_chosen(given))
    except ConfigError as error:
        raise ParameterError("rules", str(error)) from error
    if not groups:
        raise ParameterError("rule_name", "there is no such rule")
    return groups


def _chosen(given: Parameters) -> tuple[str, str]:
    return "".join(given.texts("rule_name")[:1]), "".join(given.texts("rule_group")[:1])


async def _lines(desk: BacktestDesk, groups: Sequence[RuleGroupConfig], since_ms: int) -> AsyncIterator[bytes]:
    waiting: asyncio.Queue[Progress | None] = asyncio.Queue()
    task = asyncio.create_task(desk.run(groups, since_ms, waiting.put_nowait))
    task.add_done_callback(lambda done: waiting.put_nowait(None))
    try:
        while (progress := await waiting.get()) is not None:
            yield _line({"done": progress.done, "total": progress.total, "rule": progress.doing})
        yield _line({"status": "success", "data": as_json(await task)})
    except TracksideError as error:
        yield _line({"status": "error", "error": str(error)})
    finally:
        task.cancel()


def _line(content: dict[str, object]) -> bytes:
    return json.dumps(content, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace") + b"\n"
