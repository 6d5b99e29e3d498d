"""A silence, and what may be done with it: Alertmanager's rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from trackside.exceptions import TracksideError
from trackside.model.labels import Labels
from trackside.model.matchers import Matcher, MatchOp
from trackside.server.alerting.matchers import matches
from trackside.server.alerting.silences.recurrence import Recurrence

ALWAYS = Recurrence()
NO_LABELS = Labels()


class SilenceState(Enum):
    PENDING = "pending"
    ACTIVE = "active"
    EXPIRED = "expired"


class Refused(Enum):
    """Why a silence was not taken."""

    INVALID = "invalid"
    UNKNOWN = "unknown"


class SilenceError(TracksideError):
    """A silence that cannot be made or changed; the text says why."""

    def __init__(self, reason: str, refused: Refused = Refused.INVALID) -> None:
        super().__init__(reason)
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Silence:
    silence_id: str
    """"" for one that is to be made."""
    matchers: tuple[Matcher, ...]
    starts_ms: int
    ends_ms: int
    created_by: str
    comment: str
    updated_ms: int = 0
    annotations: Labels = NO_LABELS
    recurrence: Recurrence = ALWAYS
    """Between its start and its end it silences only within these spans; none: all the time."""

    def state(self, now_ms: int) -> SilenceState:
        if now_ms >= self.ends_ms:
            return SilenceState.EXPIRED
        if now_ms < self.starts_ms:
            return SilenceState.PENDING
        # Between two of its spans it waits for the next.
        rests = self.recurrence and not self.recurrence.interval.contains(now_ms)
        return SilenceState.PENDING if rests else SilenceState.ACTIVE

    def is_about(self, wanted: Iterable[Matcher]) -> bool:
        """Whether each of these matchers holds for what the silence says of that label."""
        said = Labels.of({matcher.name: matcher.value for matcher in self.matchers})
        return matches(wanted, said)

    @property
    def size_bytes(self) -> int:
        texts = [
            self.silence_id,
            self.created_by,
            self.comment,
            self.recurrence.text,
            *(text for pair in self.annotations for text in pair),
        ]
        texts += [text for matcher in self.matchers for text in (matcher.name, matcher.value)]
        # Two bytes of framing for each text, two times and a state: about what a compact encoding takes.
        return sum(len(text.encode("utf-8", "replace")) + 2 for text in texts) + 40


@dataclass(frozen=True, slots=True)
class SilenceLimits:
    """0: as many, as large as one likes."""

    max_silences: int = 0
    """Expired ones count too, until they are forgotten."""
    max_size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class SilenceChange:
    """What has to be stored for a request, the silence that was asked for last."""

    silences: tuple[Silence, ...]

    @property
    def made(self) -> Silence:
        return self.silences[-1]


def wanted(
    draft: Silence, existing: Mapping[str, Silence], limits: SilenceLimits, new_id: str, now_ms: int
) -> SilenceChange:
    """What becomes of a draft: a new silence, a changed one, or a new one in the place of another.

    Raises:
        SilenceError: it makes no sense, there is none of its id, or a limit is reached.
    """
    _check(draft, now_ms)
    before = existing.get(draft.silence_id)
    if draft.silence_id and before is None:
        raise SilenceError(f"silence {draft.silence_id} not found", Refused.UNKNOWN)
    if before is not None and _may_become(before, draft, now_ms):
        starts_ms = before.starts_ms if before.starts_ms <= now_ms else draft.starts_ms
        changed = replace(draft, starts_ms=starts_ms, updated_ms=now_ms)
        _check_size(changed, limits)
        return SilenceChange((changed,))
    made = replace(draft, silence_id=new_id, starts_ms=max(draft.starts_ms, now_ms), updated_ms=now_ms)
    _check_size(made, limits)
    if limits.max_silences and len(existing) >= limits.max_silences:
        raise SilenceError(f"exceeded maximum number of silences: {len(existing)} (limit: {limits.max_silences})")
    ended = () if before is None or before.state(now_ms) is SilenceState.EXPIRED else (expired(before, now_ms),)
    return SilenceChange((*ended, made))


def expired(silence: Silence, now_ms: int) -> Silence:
    """The silence ended now; one that is over stays as it is."""
    if now_ms >= silence.ends_ms:
        return silence
    # One that was never active is left without a span in which it would have been.
    return replace(silence, starts_ms=min(silence.starts_ms, now_ms), ends_ms=now_ms, updated_ms=now_ms)


def listed(silences: Iterable[Silence], now_ms: int) -> list[Silence]:
    """Active ones by their end, pending ones by their start, expired ones by their end."""
    order = {SilenceState.ACTIVE: 0, SilenceState.PENDING: 1, SilenceState.EXPIRED: 2}

    def place(silence: Silence) -> tuple[int, int, str]:
        state = silence.state(now_ms)
        at_ms = silence.starts_ms if state is SilenceState.PENDING else silence.ends_ms
        return order[state], at_ms, silence.silence_id

    return sorted(silences, key=place)


def _check(draft: Silence, now_ms: int) -> None:
    if not draft.matchers:
        raise SilenceError("a silence needs at least one matcher")
    if any(not matcher.name for matcher in draft.matchers):
        raise SilenceError("the name of a label is empty")
    if all(_matches_nothing(matcher) for matcher in draft.matchers):
        raise SilenceError("at least one matcher must not match an alert without the label: this would silence all")
    if draft.ends_ms <= draft.starts_ms:
        raise SilenceError("the start must be before the end")
    if draft.ends_ms <= now_ms:
        raise SilenceError("the end must not be in the past")


def _matches_nothing(matcher: Matcher) -> bool:
    # As in Alertmanager, "everything but this" may be silenced.
    return matcher.op in (MatchOp.EQUAL, MatchOp.REGEX) and matches((matcher,), Labels())


def _check_size(silence: Silence, limits: SilenceLimits) -> None:
    if limits.max_size_bytes and silence.size_bytes > limits.max_size_bytes:
        size = f"{silence.size_bytes} bytes (limit: {limits.max_size_bytes} bytes)"
        raise SilenceError(f"silence exceeded maximum size: {size}")


def _may_become(before: Silence, after: Silence, now_ms: int) -> bool:
    """Whether a silence may be changed in place: what it has silenced must stay true."""
    if set(before.matchers) != set(after.matchers) or now_ms >= before.ends_ms:
        return False
    if now_ms >= before.starts_ms:
        return abs(before.starts_ms - after.starts_ms) < 1_000
    return after.starts_ms >= now_ms
