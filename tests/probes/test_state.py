from hypothesis import given
from hypothesis import strategies as st

from trackside.server.probes.state import Condition, Damping, Fact, ProbeState, advanced

MINUTE = 60_000
DAMPING = Damping(retries=2, flap_changes=4, flap_within_ms=30 * MINUTE, settle_ms=10 * MINUTE)


def lived(facts, damping=DAMPING, step_ms=MINUTE, state=None):
    """The condition after each of the facts: + succeeded, - failed, m failed in maintenance, . not asked."""
    state, seen = state or ProbeState(), []
    meaning = {"+": Fact(True), "-": Fact(False), "m": Fact(False, True), "M": Fact(True, True), ".": Fact(None)}
    for index, letter in enumerate(facts):
        state = advanced(state, damping, meaning[letter], (index + 1) * step_ms)
        seen.append(state.condition.value[0])
    return "".join(seen), state


def test_down_only_after_its_retries_and_up_at_once():
    assert lived("+--+---+")[0] == "uuuuuudu"


def test_a_check_that_never_succeeded_is_unknown_until_it_is_down():
    assert lived("---")[0] == "uud"
    assert lived("--")[1].condition is Condition.UNKNOWN


def test_not_being_asked_changes_nothing():
    assert lived("+....")[0] == "uuuuu"
    assert lived("-.-.-..")[0] == "uuuuddd"


def test_since_is_when_the_condition_began():
    assert lived("++---..")[1].since_ms == 5 * MINUTE


def test_in_doubt_between_the_first_failure_and_the_verdict():
    assert [lived(facts)[1].in_doubt for facts in ("+", "+-", "+--", "+---", "-")] == [False, True, True, False, True]


def test_flapping_replaces_up_and_down_until_it_is_calm():
    quick = Damping(retries=0, flap_changes=4, flap_within_ms=30 * MINUTE, settle_ms=10 * MINUTE)
    seen, state = lived("+-+-+" + "+" * 12, quick)

    assert seen == "ududf" + "f" * 9 + "uuu"
    assert not state.flapping


def test_after_flapping_one_change_is_only_one_change():
    quick = Damping(retries=0, flap_changes=4, flap_within_ms=60 * MINUTE, settle_ms=10 * MINUTE)

    assert lived("+-+-+" + "+" * 12 + "-")[0][-1] != "f"
    assert lived("+-+-+" + "+" * 12 + "-", quick)[0][-1] == "d"


def test_changes_that_are_far_apart_are_no_flapping():
    quick = Damping(retries=0, flap_changes=4, flap_within_ms=30 * MINUTE, settle_ms=10 * MINUTE)

    assert "f" not in lived(("+" * 12 + "-" * 12) * 5, quick)[0]


def test_maintenance_hides_failures_and_counting_starts_afresh_after_it():
    assert lived("+mmmm--")[0] == "ummmmuu"
    assert lived("+mmmm---")[0] == "ummmmuud"
    assert lived("+---MM.")[0] == "uuudmmu"


def test_a_clock_that_was_set_back_ends_flapping_in_due_time():
    flapping = ProbeState(Condition.FLAPPING, 10**12, True, 0, (10**12,) * 4, flapping=True)

    assert advanced(flapping, DAMPING, Fact(True), 1_000).condition is Condition.UP


@given(st.text("+-.", max_size=60), st.integers(0, 3))
def test_up_is_what_the_last_attempts_say(facts, retries):
    calm = Damping(retries=retries, flap_changes=50, settle_ms=0)
    _, state = lived(facts, calm)

    attempts = facts.replace(".", "")
    failures = len(attempts) - len(attempts.rstrip("-"))
    # Slowly: the last attempt that settled anything decides.
    up, row = None, 0
    for letter in attempts:
        row = row + 1 if letter == "-" else 0
        up = True if letter == "+" else False if row > retries else up
    assert (state.up, state.failures) == (up, failures)


@given(st.text("+-m.M", max_size=100))
def test_memory_is_bounded(facts):
    assert len(lived(facts, Damping(retries=0))[1].changes_ms) <= 4
