"""`/alerts/rules/backtest`: when a rule would have fired, how long, and how often somebody would have been told.

Also with another number in the place of the one that the rule is held against.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from trackside.exceptions import TracksideError
from trackside.model.durations import format_duration, parse_duration
from trackside.model.labels import Labels
from trackside.server.backtest.desk import BacktestDesk
from trackside.server.backtest.result import BacktestResult, Episode, Progress, RuleResult
from trackside.server.rules.config import RuleGroupConfig
from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.figures import age, exact, plural
from trackside.server.web.forms import ParameterError, form_of
from trackside.server.web.pages.alerts.history import Life, Spell
from trackside.server.web.pages.alerts.places import RULES, TABS
from trackside.server.web.pages.alerts.rules_page import PERIODS
from trackside.server.web.pages.alerts.threshold import Threshold, limit_of, place_of, threshold_of, with_limit
from trackside.server.web.verdict import Level

DAY_MS = 86_400_000
LONGEST_MS = 400 * DAY_MS
STRIPS = 20
EPISODES = 50


@dataclass(frozen=True, slots=True)
class Asked:
    rule: str
    group: str
    since_ms: int
    nth: int = 0
    """Which of the rules of that name in the group."""
    limit: float | None = None
    """None: the rule's own."""

    @property
    def since_text(self) -> str:
        """As it is chosen: "7d", not "1w"."""
        days, rest_ms = divmod(self.since_ms, DAY_MS)
        return format_duration(self.since_ms) if rest_ms else f"{days}d"

    @property
    def words(self) -> str:
        days, rest_ms = divmod(self.since_ms, DAY_MS)
        return format_duration(self.since_ms) if rest_ms else "24 hours" if days == 1 else f"{days} days"


@dataclass(frozen=True, slots=True)
class Shown:
    """A result as the page has it."""

    asked: Asked
    sentence: str
    lives: tuple[Life, ...]
    hidden: int
    episodes: tuple[Episode, ...]
    hidden_episodes: int
    start_ms: int
    end_ms: int
    by_receiver: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]
    error: str = ""
    threshold: Threshold | None = None
    """The one in force; None where the rule has none that could be changed."""
    tried: float | None = None
    """Another one, with which this is the result."""
    changed: str = ""
    """The expression with that."""

    @property
    def limit_text(self) -> str:
        """Of the field for the next try."""
        tried = self.threshold.value if self.tried is None and self.threshold is not None else self.tried
        return "" if tried is None else exact(tried)


@dataclass(frozen=True, slots=True)
class Trial:
    """What is run."""

    asked: Asked
    groups: tuple[RuleGroupConfig, ...]
    place: int
    """Of the rule in the first of the groups."""
    expr: str
    """Of the rule in force."""

    @property
    def threshold(self) -> Threshold | None:
        return threshold_of(self.expr)

    @property
    def tried(self) -> float | None:
        limit, known = self.asked.limit, self.threshold
        return None if known is None or limit == known.value else limit


def trial_of(desk: BacktestDesk, asked: Asked) -> Trial | None:
    """None: there is no such rule."""
    for group in desk.running_groups(asked.rule, asked.group):
        place = place_of(group.rules, asked.rule, asked.nth)
        if place is None:
            continue
        trial = Trial(asked, (), place, group.rules[place].expr)
        tried = group if trial.tried is None else with_limit(group, place, trial.tried)
        # The others of that name would be counted with it.
        kept = tuple(one for i, one in enumerate(tried.rules) if i == place or one.name != asked.rule)
        return replace(trial, groups=(replace(tried, rules=kept),))
    return None


@dataclass(frozen=True, slots=True)
class BacktestPage:
    console: Console

    async def run(self, request: Request) -> Response:
        """With `stream` a line of JSON for each step, the last with the result as HTML; else a page."""
        desk = self.console.backtests
        if desk is None:
            return render.error_page(503, "Nothing to run on", "The samples are kept elsewhere: run it there.")
        form = await form_of(request)
        rule, group, since, nth = (str(form.get(name) or "") for name in ("rule", "group", "since", "nth"))
        place = int(nth) if nth.isdecimal() and len(nth) < 4 else 0
        limit = limit_of(str(form.get("limit") or ""))
        trial = trial_of(desk, Asked(rule, group, _since_ms(since), place, limit))
        if trial is None:
            return render.error_page(404, "There is no such rule", "The configuration may have changed meanwhile.")
        if form.get("stream"):
            return StreamingResponse(_lines(desk, trial), media_type="application/x-ndjson")
        result = await desk.run(trial.groups, trial.asked.since_ms, lambda progress: None)
        return self._page(request, shown(result, trial))

    def _page(self, request: Request, result: Shown) -> Response:
        period = replace(render.period_for(request, self.console), refresh_s=0)
        facts: Mapping[str, object] = {
            "tabs": TABS,
            "tab": "rules",
            "result": result,
            "periods": PERIODS,
            "rules_link": period.link(RULES),
        }
        page = render.Page("backtest.html", "alerts", f"Backtest of {result.asked.rule}", Level.OK, facts, {})
        return render.respond(request, self.console, period, page)


def shown(result: BacktestResult, trial: Trial) -> Shown:
    asked, threshold, tried = trial.asked, trial.threshold, trial.tried
    rule = next((one for one in result.rules if one.name == asked.rule), RuleResult(asked.rule, asked.group))
    lives = _lives(rule, result)
    told = [sent for sent in result.notifications if asked.rule in sent.alerts]
    counts: dict[str, int] = {}
    for sent in told:
        counts[f"{sent.receiver} ({sent.integration})"] = counts.get(f"{sent.receiver} ({sent.integration})", 0) + 1
    episodes = sorted(rule.episodes, key=lambda one: -one.pending_ms)
    return Shown(
        asked,
        _sentence(rule, result, trial, len(told)),
        tuple(lives[:STRIPS]),
        max(0, len(lives) - STRIPS),
        tuple(episodes[:EPISODES]),
        max(0, len(episodes) - EPISODES),
        result.start_ms,
        result.end_ms,
        tuple(sorted(counts.items())),
        result.notes,
        rule.error,
        threshold,
        tried,
        threshold.replaced(trial.expr, tried) if threshold is not None and tried is not None else "",
    )


def _sentence(rule: RuleResult, result: BacktestResult, trial: Trial, told: int) -> str:
    asked, known, tried = trial.asked, trial.threshold, trial.tried
    if rule.error:
        return f"{rule.name} could not be run on the last {asked.words}"
    fired = len(rule.fired)
    within = f"In the last {asked.words} {rule.name}"
    if known is not None and tried is not None:
        within = f"With {known.op} {exact(tried)} instead of {known.text}, in the last {asked.words} {rule.name}"
    if not fired:
        held = ", though its expression held for a while" if rule.episodes else ""
        return f"{within} would not have fired{held}."
    times = {1: "once", 2: "twice"}.get(fired, f"{fired} times")
    parts = [f"{times}, {age(round(rule.firing_ms(result.start_ms, result.end_ms)))} in all"]
    if rule.short():
        parts.append(f"{rule.short()} of them shorter than 5 min")
    if result.told:
        parts.append(plural(told, "notification"))
    return f"{within} would have fired {'; '.join(parts)}."


def _lives(rule: RuleResult, result: BacktestResult) -> list[Life]:
    """A strip for each alert, the one that fired longest first."""
    spells: dict[Labels, list[Spell]] = {}
    for episode in rule.episodes:
        spells.setdefault(episode.labels, []).extend(_spells(episode, result))
    lives = [
        Life(labels, tuple(some), result.start_ms, result.end_ms, some[-1].end_ms == result.end_ms)
        for labels, some in spells.items()
        if some
    ]
    return sorted(lives, key=lambda life: -life.firing_ms)


def _spells(episode: Episode, result: BacktestResult) -> list[Spell]:
    end_ms = result.end_ms if episode.ended_ms is None else episode.ended_ms
    fired_ms = end_ms if episode.fired_ms is None else episode.fired_ms
    spans = ((episode.pending_ms, fired_ms, False), (fired_ms, end_ms, True))
    bounded = [Spell(max(start, result.start_ms), min(end, result.end_ms), fires) for start, end, fires in spans]
    return [spell for spell in bounded if spell.length_ms > 0]


async def _lines(desk: BacktestDesk, trial: Trial) -> AsyncIterator[bytes]:
    waiting: asyncio.Queue[Progress | None] = asyncio.Queue()
    task = asyncio.create_task(desk.run(trial.groups, trial.asked.since_ms, waiting.put_nowait))
    task.add_done_callback(lambda done: waiting.put_nowait(None))
    try:
        while (progress := await waiting.get()) is not None:
            yield _line({"done": progress.done, "total": progress.total, "rule": progress.doing})
        html = render.fragment("backtest_result.html", {"result": shown(await task, trial), "periods": PERIODS})
        yield _line({"html": html})
    except TracksideError as error:
        yield _line({"error": str(error)})
    finally:
        task.cancel()


def _line(content: dict[str, object]) -> bytes:
    return json.dumps(content, allow_nan=False).encode() + b"\n"


def _since_ms(text: str) -> int:
    try:
        since_ms = parse_duration(text or "7d")
    except ValueError as error:
        raise ParameterError("since", str(error)) from error
    if not 0 < since_ms <= LONGEST_MS:
        raise ParameterError("since", f"more than nothing, and at most {format_duration(LONGEST_MS)}")
    return since_ms
