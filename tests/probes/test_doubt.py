import pytest

from trackside.server.probes.doubt import LastAttempt, judged, suspicious
from trackside.server.probes.result import Reason

NOW = 1_000_000_000
OK, TIMEOUT, RESOLVE, LOST = Reason.NONE, Reason.TIMEOUT, Reason.RESOLVE, Reason.UNREACHABLE


def attempts(*reasons, hosts="abcdefgh", ages=None):
    ages = ages or [1_000] * len(reasons)
    return [LastAttempt(hosts[i % len(hosts)], NOW - ages[i], reason) for i, reason in enumerate(reasons)]


CASES = [
    pytest.param(attempts(), None, False, id="nothing is asked"),
    pytest.param(attempts(OK, OK, OK), None, False, id="all is well"),
    pytest.param(attempts(RESOLVE, RESOLVE), None, False, id="two are not most"),
    pytest.param(attempts(RESOLVE, RESOLVE, RESOLVE), None, True, id="no name can be resolved"),
    pytest.param(attempts(LOST, LOST, LOST, RESOLVE), None, True, id="no way out"),
    pytest.param(attempts(TIMEOUT, TIMEOUT, TIMEOUT), None, False, id="time-outs alone prove nothing"),
    pytest.param(attempts(TIMEOUT, TIMEOUT, TIMEOUT), [False, False], True, id="and no anchor answers"),
    pytest.param(attempts(TIMEOUT, TIMEOUT, TIMEOUT), [False, True], False, id="one anchor answers"),
    pytest.param(attempts(RESOLVE, RESOLVE, RESOLVE), [True], False, id="only the names are gone, to an anchor"),
    pytest.param(attempts(RESOLVE, RESOLVE, Reason.STATUS), None, False, id="somebody answered, if badly"),
    pytest.param(attempts(Reason.REFUSED, Reason.REFUSED, Reason.REFUSED), [False], False, id="refused is an answer"),
    pytest.param(attempts(RESOLVE, RESOLVE, RESOLVE, OK, OK, OK), None, False, id="half of them"),
    pytest.param(attempts(RESOLVE, RESOLVE, RESOLVE, hosts="a"), None, False, id="all on one host"),
    pytest.param(attempts(RESOLVE, RESOLVE, RESOLVE, ages=[999_999] * 3), None, False, id="long ago"),
    pytest.param(attempts(RESOLVE, RESOLVE, RESOLVE, ages=[-5_000] * 3), None, False, id="in the future"),
    pytest.param(
        attempts(RESOLVE, RESOLVE, RESOLVE, OK, ages=[1_000, 1_000, 1_000, 50_000]), None, True, id="well before it"
    ),
    pytest.param(
        attempts(RESOLVE, RESOLVE, RESOLVE, OK, ages=[50_000, 50_000, 50_000, 1_000]), None, False, id="well after it"
    ),
]


@pytest.mark.parametrize(("known", "anchors", "doubtful"), CASES)
def test_is_it_me(known, anchors, doubtful):
    judgement = judged(known, NOW, anchors)

    assert judgement.doubtful is doubtful
    assert bool(judgement.sentence) is doubtful


def test_the_sentence_says_how_many_and_why():
    assert judged(attempts(RESOLVE, RESOLVE, RESOLVE, LOST), NOW).sentence == (
        "4 of 4 checks fail at once: no names can be resolved; the reason may lie with this machine"
    )


def test_anchors_are_asked_only_when_it_is_suspicious():
    assert suspicious(attempts(TIMEOUT, TIMEOUT, TIMEOUT), NOW)
    assert not suspicious(attempts(TIMEOUT, OK, OK), NOW)
