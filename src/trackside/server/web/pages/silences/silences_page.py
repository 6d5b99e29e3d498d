"""`/silences`: what nobody is told of and why, and the form that makes, changes and ends it, script or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.datastructures import MultiDict
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from trackside.exceptions import StorageError
from trackside.model.matchers import Matcher
from trackside.server.alerting.dispatcher import Dispatcher
from trackside.server.alerting.matchers import matches
from trackside.server.alerting.selection import Selection
from trackside.server.alerting.silences.silence import Silence, SilenceError, SilenceState
from trackside.server.alerting.silences.until_resolved import lasts_until_resolved
from trackside.server.web import render
from trackside.server.web.console import Console
from trackside.server.web.figures import plural
from trackside.server.web.forms import form_of
from trackside.server.web.origin import local_path
from trackside.server.web.pages.alerts.found import Found, all_alerts
from trackside.server.web.pages.alerts.places import SILENCES, TABS, alert_path, matchers_text
from trackside.server.web.pages.silences.draft import LENGTHS, WEEKDAYS, Draft, DraftError
from trackside.server.web.pages.silences.words import recurrence_words
from trackside.server.web.verdict import Level
from trackside.server.web.visitor import author_of, may_act

EXPIRED_SHOWN = 50
MATCHED_SHOWN = 20


@dataclass(frozen=True, slots=True)
class SilenceRow:
    silence: Silence
    state: SilenceState
    recurs: str
    matched: tuple[Found, ...]
    """Alerts that are there now, and that it matches."""
    until_resolved: bool
    again_link: str
    """The form of another one like it."""

    @property
    def level(self) -> Level:
        # A silence that silences nothing is a trap for the next outage.
        if self.state is SilenceState.ACTIVE and not self.matched:
            return Level.WARN
        return Level.OK if self.state is SilenceState.ACTIVE else Level.UNKNOWN


@dataclass(frozen=True, slots=True)
class Preview:
    """What a draft would silence."""

    matched: tuple[Found, ...] = ()
    total: int = 0
    error: str = ""
    is_empty: bool = False
    """Whether there are no matchers to try."""


@dataclass(frozen=True, slots=True)
class SilencePages:
    console: Console

    async def show(self, request: Request) -> Response:
        period = render.period_for(request, self.console)
        dispatcher = self.console.alerting()
        silences = () if dispatcher is None else dispatcher.silences.all(period.now_ms)
        matched = _matched(silences, all_alerts(self.console), period.now_ms)
        rows = [_row(silence, matched.get(silence.silence_id, ()), period.now_ms) for silence in silences]
        by_state = {state: [row for row in rows if row.state is state] for state in SilenceState}
        active, expired = by_state[SilenceState.ACTIVE], by_state[SilenceState.EXPIRED]
        silenced = {id(one) for row in active for one in row.matched}
        facts: Mapping[str, object] = {
            "tabs": TABS,
            "tab": "silences",
            "calm": _calm_line(len(active), len(silenced)),
            "sets": [
                ("active", "Active", active),
                ("pending", "Waiting", by_state[SilenceState.PENDING]),
                ("expired", "Over", list(reversed(expired))[:EXPIRED_SHOWN]),
            ],
            "alert_path": alert_path,
            "may_act": may_act(request),
        }
        page = render.Page("silences.html", "alerts", "Silences", Level.OK, facts, {}, has_range=False)
        return render.respond(request, self.console, period, page)

    async def new(self, request: Request) -> Response:
        """`filter` is what links in notifications say, `matchers` what our own do."""
        draft = Draft.of_form(await form_of(request), author_of(request))
        return self._form(request, draft if "matchers" in request.query_params else draft.spelled_out(), "")

    async def edit(self, request: Request) -> Response:
        dispatcher = self.console.alerting()
        silence = None if dispatcher is None else dispatcher.silences.get(request.path_params["id"])
        if silence is None:
            return render.error_page(404, "There is no such silence", "It ended long ago, or never existed.")
        return self._form(request, Draft.of_silence(silence), "")

    async def put(self, request: Request) -> Response:
        dispatcher, refusal = self._allowed(request)
        if dispatcher is None:
            return refusal
        form = await form_of(request)
        draft = Draft.of_form(form, author_of(request))
        now_ms = self.console.clock.now_ms()
        try:
            silence = draft.silence(now_ms)
            known = dispatcher.silences.get(silence.silence_id) if silence.silence_id else None
            if known is not None and abs(known.starts_ms - silence.starts_ms) < 1_000:
                # The form knows whole seconds only.
                silence = replace(silence, starts_ms=known.starts_ms)
            made = await dispatcher.silences.put(silence, now_ms)
        except (DraftError, SilenceError, StorageError) as error:
            return self._form(request, draft, str(error))
        return RedirectResponse(_back(form, f"{SILENCES}#silence-{made.silence_id}"), 303)

    async def expire(self, request: Request) -> Response:
        dispatcher, refusal = self._allowed(request)
        if dispatcher is None:
            return refusal
        form = await form_of(request)
        try:
            await dispatcher.silences.expire(request.path_params["id"], self.console.clock.now_ms())
        except SilenceError as error:
            return render.error_page(404, "There is no such silence", str(error))
        return RedirectResponse(_back(form, SILENCES), 303)

    def _allowed(self, request: Request) -> tuple[Dispatcher | None, Response]:
        """The gate has asked for the role already; what keeps people asleep is worth asking twice."""
        if not may_act(request):
            return None, render.error_page(403, "You may not do that", "Only operators silence alerts.")
        starting = render.error_page(503, "Not yet", "The server has only just started. Try again in a second.")
        return self.console.alerting(), starting

    def _form(self, request: Request, draft: Draft, error: str) -> Response:
        # Nothing may change under the hands of somebody who writes.
        period = replace(render.period_for(request, self.console), refresh_s=0)
        preview = _preview(draft, all_alerts(self.console))
        facts: Mapping[str, object] = {
            "tabs": TABS,
            "tab": "silences",
            "draft": draft,
            "error": error,
            "preview": preview,
            "lengths": LENGTHS,
            "weekdays": WEEKDAYS,
            "alert_path": alert_path,
            "may_act": may_act(request),
            "back": request.query_params.get("back", ""),
        }
        title = "Change a silence" if draft.silence_id else "New silence"
        page = render.Page("silence_form.html", "alerts", title, Level.OK, facts, {}, has_range=False)
        response = render.respond(request, self.console, period, page)
        response.status_code = 400 if error else 200
        return response


def matching(matchers: Sequence[Matcher], alerts: Sequence[Found]) -> tuple[Found, ...]:
    return tuple(one for one in alerts if matches(matchers, one.alert.labels))


def _matched(silences: Sequence[Silence], alerts: Sequence[Found], now_ms: int) -> dict[str, list[Found]]:
    """By silence, what those that are not over match: each alert is looked at once, however many silences there are."""
    kept = [one for one in silences if one.state(now_ms) is not SilenceState.EXPIRED]
    selection = Selection((one.silence_id, one.matchers) for one in kept)
    found: dict[str, list[Found]] = {}
    for alert in alerts:
        for silence_id in selection.holding(alert.alert.labels):
            found.setdefault(silence_id, []).append(alert)
    return found


def _row(silence: Silence, matched: Sequence[Found], now_ms: int) -> SilenceRow:
    state = silence.state(now_ms)
    said = {"matchers": matchers_text(silence.matchers), "comment": silence.comment}
    return SilenceRow(
        silence,
        state,
        recurrence_words(silence.recurrence),
        tuple(matched),
        lasts_until_resolved(silence),
        f"{SILENCES}/new?{urlencode(said)}",
    )


def _preview(draft: Draft, alerts: Sequence[Found]) -> Preview:
    try:
        matchers = draft.read_matchers()
    except DraftError as error:
        return Preview(error=str(error))
    if not matchers:
        return Preview(is_empty=True)
    matched = matching(matchers, alerts)
    return Preview(matched[:MATCHED_SHOWN], len(matched))


def _calm_line(active: int, silenced: int) -> str:
    if not active:
        return "Nothing is silenced."
    verb = "silences" if active == 1 else "silence"
    return f"{plural(active, 'silence')} {verb} {plural(silenced, 'alert')} now."


def _back(form: MultiDict, otherwise: str) -> str:
    wanted = str(form.get("back") or "")
    return local_path(wanted) if wanted else otherwise
