"""What may be done with a silence, and when it silences."""

from dataclasses import replace

import pytest

from trackside.model.labels import Labels
from trackside.server.alerting.matchers import parse_matchers
from trackside.server.alerting.silences.recurrence import Recurrence
from trackside.server.alerting.silences.silence import (
    Refused,
    Silence,
    SilenceError,
    SilenceLimits,
    SilenceState,
    expired,
    listed,
    wanted,
)

NOW = 1_000_000
NO_LIMITS = SilenceLimits()


def silence(matchers: str = 'a="b"', starts: int = 0, ends: int = 600_000, **more) -> Silence:
    """Times from NOW."""
    return Silence(
        more.pop("silence_id", ""),
        parse_matchers(matchers),
        NOW + starts,
        NOW + ends,
        "me",
        more.pop("comment", "why"),
        **more,
    )


def made(draft: Silence, *existing: Silence, limits: SilenceLimits = NO_LIMITS, now: int = 0) -> tuple[Silence, ...]:
    return wanted(draft, {one.silence_id: one for one in existing}, limits, "new", NOW + now).silences


@pytest.mark.parametrize(
    ("starts", "ends", "now", "state"),
    [
        (10, 20, 9, SilenceState.PENDING),
        (10, 20, 10, SilenceState.ACTIVE),
        (10, 20, 19, SilenceState.ACTIVE),
        (10, 20, 20, SilenceState.EXPIRED),
    ],
)
def test_it_silences_from_its_start_until_before_its_end(starts, ends, now, state):
    assert silence(starts=starts, ends=ends).state(NOW + now) is state


def test_a_recurring_one_silences_within_its_spans_only():
    nights = Recurrence.of([{"times": [{"start_time": "02:00", "end_time": "04:00"}]}])
    hour = 3_600_000
    one = Silence("n", parse_matchers('a="b"'), 0, 30 * 24 * hour, "me", "backup", recurrence=nights)
    states = [one.state(24 * hour + each * hour).value for each in range(6)]
    assert states == ["pending", "pending", "active", "active", "pending", "pending"]
    assert one.state(30 * 24 * hour) is SilenceState.EXPIRED


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        pytest.param(silence("{}"), "at least one matcher", id="no matchers"),
        pytest.param(silence('a=""'), "must not match", id="only what is not there"),
        pytest.param(silence('a=~".*"'), "must not match", id="everything"),
        pytest.param(silence('""="x"'), "name of a label is empty", id="no name"),
        pytest.param(silence(starts=10, ends=5), "before the end", id="backwards"),
        pytest.param(silence(starts=5, ends=5), "before the end", id="empty"),
        pytest.param(silence(starts=-10, ends=-5), "in the past", id="over already"),
    ],
)
def test_what_makes_no_sense_is_refused(draft, reason):
    with pytest.raises(SilenceError, match=reason) as caught:
        made(draft)
    assert caught.value.refused is Refused.INVALID


@pytest.mark.parametrize("matchers", ['a="",b="x"', 'a!="b"', 'a!~"b"', 'a=~"x.*"'])
def test_one_matcher_that_asks_for_something_is_enough(matchers):
    assert made(silence(matchers))[0].silence_id == "new"


def test_one_that_began_in_the_past_begins_now():
    assert made(silence(starts=-500))[0].starts_ms == NOW


def test_an_id_that_nobody_has_is_unknown():
    with pytest.raises(SilenceError) as caught:
        made(silence(silence_id="x"))
    assert caught.value.refused is Refused.UNKNOWN


ACTIVE = replace(silence(), silence_id="old", updated_ms=NOW)
PENDING = replace(silence(starts=50_000), silence_id="old", updated_ms=NOW)


@pytest.mark.parametrize(
    ("before", "after", "ids"),
    [
        pytest.param(ACTIVE, replace(ACTIVE, ends_ms=NOW + 900_000, comment="longer"), ["old"], id="a later end"),
        pytest.param(ACTIVE, replace(ACTIVE, starts_ms=NOW + 999), ["old"], id="as good as the same start"),
        pytest.param(
            ACTIVE, replace(ACTIVE, starts_ms=NOW + 60_000), ["old", "new"], id="a later start of an active one"
        ),
        pytest.param(ACTIVE, replace(ACTIVE, matchers=parse_matchers('a="c"')), ["old", "new"], id="other matchers"),
        pytest.param(PENDING, replace(PENDING, starts_ms=NOW + 20_000), ["old"], id="another start of a pending one"),
        pytest.param(
            PENDING, replace(PENDING, starts_ms=NOW - 1), ["old", "new"], id="a pending one begun in the past"
        ),
        pytest.param(expired(ACTIVE, NOW + 1), replace(ACTIVE), ["new"], id="an expired one again"),
    ],
)
def test_what_was_silenced_stays_true(before, after, ids):
    """Changed in place, or ended with another in its place."""
    found = made(after, before, now=2)
    assert [one.silence_id for one in found] == ids
    if len(ids) == 2:
        assert found[0].state(NOW + 2) is SilenceState.EXPIRED
    assert found[-1].updated_ms == NOW + 2


def test_the_order_of_matchers_makes_no_other_silence():
    before = replace(silence('a="b",c="d"'), silence_id="old")
    assert [one.silence_id for one in made(replace(before, matchers=parse_matchers('c="d",a="b"')), before)] == ["old"]


def test_limits_are_named():
    full = [replace(silence(), silence_id=str(number)) for number in range(2)]
    with pytest.raises(SilenceError, match="maximum number of silences"):
        made(silence(), *full, limits=SilenceLimits(max_silences=2))
    with pytest.raises(SilenceError, match="maximum size"):
        made(silence(comment="x" * 500), limits=SilenceLimits(max_size_bytes=400))
    assert made(replace(full[0], comment="changed"), *full, limits=SilenceLimits(2, 400))[0].silence_id == "0"


def test_the_list_begins_with_what_ends_first():
    pending = replace(silence(starts=1_000, comment="pending"), silence_id="1")
    long, short = silence(ends=900, comment="long"), silence(ends=300, comment="short")
    over = silence(starts=-900, ends=-100, comment="over")
    found = [one.comment for one in listed([over, pending, long, short], NOW)]
    assert found == ["short", "long", "pending", "over"]


def test_a_silence_is_found_by_what_its_matchers_say():
    one = silence('a="b",c=~"x.*"')
    assert one.is_about(parse_matchers('a="b"'))
    assert one.is_about(parse_matchers('c="x.*"'))
    assert not one.is_about(parse_matchers('a="c"'))


@pytest.mark.parametrize(
    ("spans", "reason"),
    [
        pytest.param({"times": []}, "list", id="no list"),
        pytest.param([{"weekdays": ["funday"]}], "weekday", id="no such day"),
        pytest.param([{"times": [{"start_time": "5:00", "end_time": "06:00"}]}], "time of day", id="no time"),
        pytest.param([{}] * 101, "at most 100", id="too many"),
        pytest.param(["monday"], "0", id="no span"),
    ],
)
def test_a_recurrence_that_makes_no_sense_is_refused(spans, reason):
    with pytest.raises(ValueError, match=reason):
        Recurrence.of(spans)


def test_annotations_count_for_the_size():
    assert silence(annotations=Labels.of(ticket="T" * 100)).size_bytes > silence().size_bytes + 100
