"""From facts to HTML: the templates, what every page shares, and where the built script and style sheet are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from pathlib import Path
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from trackside.model.durations import format_duration
from trackside.server.fingerprint import fingerprint
from trackside.server.web import figures
from trackside.server.web.console import Console
from trackside.server.web.heard import counted
from trackside.server.web.period import RANGES, REFRESHES_S, Period, period_of
from trackside.server.web.verdict import (
    Level,
    alert_level,
    alert_text,
    severity_level,
)

_HERE = Path(__file__).parent
DIST = _HERE / "static" / "dist"
_PATTERNS: Mapping[str, str] = {
    "time": "%H:%M:%S UTC",
    "minute": "%H:%M UTC",
    "day": "%a %-d %b, %H:%M UTC",
    "full": "%-d %b %Y, %H:%M:%S UTC",
}
_SHORT_NAME = 24
_MOST_OF_A_DAY_MS = 20 * 3_600_000
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[_:.])(?=\w)|(?<=/)(?=[\w{])")

NAVIGATION = (
    ("overview", "/", "Overview", "o"),
    ("explore", "/explore", "Explore", "e"),
    ("jobs", "/jobs", "Jobs", "j"),
    ("alerts", "/alerts", "Alerts", "a"),
    ("uptime", "/uptime", "Uptime", "u"),
    ("targets", "/targets", "Targets", "t"),
)


@dataclass(frozen=True, slots=True)
class Page:
    """What a page hands over to be shown."""

    template: str
    section: str
    """Key of its entry in the navigation."""
    title: str
    level: Level
    """Colours the icon in the browser's tab."""
    facts: Mapping[str, object]
    params: Mapping[str, str]
    """What the URL needs beside the period to show the same again."""
    has_range: bool = True
    """Whether the time range says anything about what is shown."""


def respond(request: Request, console: Console, period: Period, page: Page) -> HTMLResponse:
    path = request.url.path
    context = {
        **page.facts,
        "page": page,
        "period": period,
        "ranges": [(text, _link(path, page.params, period, range=text)) for text in RANGES],
        "refreshes": [(s, _link(path, page.params, period, refresh=str(s))) for s in REFRESHES_S],
        "refresh_url": _link(path, page.params, period),
        "firing": counted(console),
        "user": getattr(request.state, "user", None),
        "version": console.version,
    }
    # A refresh needs the part that changes, not the head and the dialogs.
    name = "live.html" if request.headers.get("HX-Request") == "true" else "shell.html"
    return _html(page.template, {**context, "layout": name})


def fragment(template: str, facts: Mapping[str, object]) -> str:
    """A part of a page, for a script that puts it in."""
    return environment().get_template(template).render(facts)


def login_page(error: str, next_path: str, status_code: int = 200) -> HTMLResponse:
    """The form posts `key` and `next` to /login."""
    return _html("login.html", {"error": error, "next_path": next_path}, status_code)


def error_page(status_code: int, title: str, explanation: str, detail: str = "") -> HTMLResponse:
    facts = {"status_code": status_code, "title": title, "explanation": explanation, "detail": detail}
    return _html("error.html", facts, status_code)


def period_for(request: Request, console: Console) -> Period:
    interval_ms = max((target.interval_ms for target in console.targets()), default=15_000)
    return period_of(request.query_params, console.clock.now_ms(), console.started_ms, interval_ms)


def static_mount() -> Mount:
    return Mount("/static", _HashedFiles(directory=DIST, check_dir=False), name="static")


class _HashedFiles(StaticFiles):
    """Names carry a hash of the content, so a browser never has to ask twice."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        if not DIST.is_dir():
            return PlainTextResponse("The pages' script and style sheet were not built.", 404)
        response = await super().get_response(path, scope)
        if response.status_code < 400:
            response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response

    async def check_config(self) -> None:
        if DIST.is_dir():
            await super().check_config()


def asset(name: str) -> str:
    """URL of a built file, or "" when the front end was not built."""
    try:
        changed_ns = (DIST / "manifest.json").stat().st_mtime_ns
    except FileNotFoundError:
        return ""
    file_name = _manifest(changed_ns).get(name, "")
    return f"/static/{file_name}" if file_name else ""


@lru_cache(maxsize=1)
def _manifest(changed_ns: int) -> dict[str, str]:
    """Read again when the front end was built again under a running server."""
    document = json.loads((DIST / "manifest.json").read_text(encoding="utf-8"))
    return {str(name): str(file_name) for name, file_name in document.items()}


def time_tag(at_ms: int | None, style: str = "time") -> Markup:
    """In UTC until the script turns it into local time. Styles: "time", "minute", "day", "full"."""
    if at_ms is None:
        return Markup(figures.NOTHING)
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return Markup('<time datetime="{}" data-style="{}" title="{}">{}</time>').format(
        moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        style,
        moment.strftime("%Y-%m-%d %H:%M:%S UTC"),
        moment.strftime(_PATTERNS[style]),
    )


def span_style(start_ms: int, end_ms: int) -> str:
    """Of the times at the ends of a span: over most of a day, the same time could be yesterday's."""
    return "day" if end_ms - start_ms > _MOST_OF_A_DAY_MS else "minute"


def breakable(name: str) -> Markup:
    """A name such as KubePersistentVolumeFillingUp, or a path, that may be broken where its words meet; short ones need
    not."""
    return Markup("<wbr>").join(_WORDS.split(name) if len(name) > _SHORT_NAME else [name])


@cache
def environment() -> Environment:
    env = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals.update(asset=asset, navigation=NAVIGATION, time=time_tag, Level=Level)
    env.globals.update(alert_level=alert_level, alert_text=alert_text, severity_level=severity_level)
    env.globals.update(fingerprint=fingerprint, span_style=span_style)
    env.filters.update(
        rate=figures.per_second,
        share=figures.share,
        availability=figures.availability,
        seconds=figures.seconds,
        amount=figures.amount,
        exact=figures.exact,
        age=figures.age,
        count=figures.count,
        plural=figures.plural,
        duration=format_duration,
        breakable=breakable,
    )
    return env


def _html(template: str, context: Mapping[str, object], status_code: int = 200) -> HTMLResponse:
    text = environment().get_template(template).render(context)
    # A page is a view of this moment for this user: nothing in between may keep it.
    return HTMLResponse(text, status_code, {"Cache-Control": "no-store", "Vary": "HX-Request"})


def _link(path: str, params: Mapping[str, str], period: Period, **changed: str) -> str:
    """This page with another range or refresh; a relative range replaces a fixed one."""
    kept = {name: value for name, value in period.params().items() if "range" not in changed or name == "refresh"}
    return path + "?" + urlencode({**{k: v for k, v in params.items() if v}, **kept, **changed})
