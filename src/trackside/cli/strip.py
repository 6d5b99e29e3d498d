"""A backtest as a strip of letters: when a rule was pending and when it fired."""

from __future__ import annotations

from datetime import UTC, datetime

from trackside.server.backtest.result import BacktestResult, Episode, RuleResult

WIDTH = 60
IDLE, PENDING, FIRING = "·", "░", "█"


def strip(rule: RuleResult, result: BacktestResult) -> str:
    """`Nov 18 00:00 ··░██··· Nov 25 00:00 UTC`. A cell shows the worst of its time."""
    cells = [IDLE] * WIDTH
    for episode in rule.episodes:
        _mark(cells, result, episode.pending_ms, _end_ms(episode, result), PENDING)
    for episode in rule.fired:
        _mark(cells, result, episode.fired_ms or 0, _end_ms(episode, result), FIRING)
    return f"{_moment(result.start_ms)} {''.join(cells)} {_moment(result.end_ms)} UTC"


def _mark(cells: list[str], result: BacktestResult, start_ms: int, end_ms: int, letter: str) -> None:
    span_ms = max(1, result.end_ms - result.start_ms)
    first = max(0, (start_ms - result.start_ms) * WIDTH // span_ms)
    last = min(WIDTH - 1, (end_ms - 1 - result.start_ms) * WIDTH // span_ms)
    for place in range(first, max(first, last) + 1):
        if place < WIDTH:
            cells[place] = letter


def _end_ms(episode: Episode, result: BacktestResult) -> int:
    return result.end_ms if episode.ended_ms is None else episode.ended_ms


def _moment(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1_000, UTC):%b %d %H:%M}"
