import pytest

from trackside.cli.diagnosis import Page, Severity, of_health, of_jobs, of_metrics, of_server
from trackside.wire import exposition

NOW_S = 1_000_000.0


def problems(findings):
    return [finding.sentence for finding in findings if finding.severity is Severity.PROBLEM]


def of_text(text, took_s=0.01):
    return list(of_metrics(list(exposition.parse(text.encode()).samples()), took_s, NOW_S))


@pytest.mark.parametrize(
    ("page", "sentences"),
    [
        ('beat_interval_seconds{beat="poller"} 1\nbeat_last_timestamp_seconds{beat="poller"} 999999\n', []),
        (
            'beat_interval_seconds{beat="poller"} 1\nbeat_last_timestamp_seconds{beat="poller"} 0\n',
            ["poller has never run: it should run every 1s"],
        ),
        (
            'beat_interval_seconds{beat="poller"} 1\nbeat_last_timestamp_seconds{beat="poller"} 999900\n',
            ["poller has stopped: it last ran 1m40s ago, and it should run every 1s"],
        ),
        (
            'railgun_beat_interval_seconds{beat="p"} 60\nrailgun_beat_last_timestamp_seconds{beat="p"} 0\n',
            ["p has never run: it should run every 1m"],
        ),
        (
            'poller_lag_seconds{poller="sessions"} 372\npoller_waiting{poller="sessions"} 12\n',
            ["12 rows wait for sessions, the oldest for 6m12s"],
        ),
        ('poller_lag_seconds{poller="sessions"} 3\n', []),
        (
            'queue_oldest_seconds{queue="high"} 90\nqueue_jobs{queue="high",state="queued"} 7\n',
            ["7 jobs wait in the queue high, the oldest for 1m30s"],
        ),
        ("process_open_fds 950\nprocess_max_fds 1000\n", ["950 of 1000 file descriptors are open"]),
        ("process_open_fds 950\nprocess_max_fds +Inf\n", []),
        (
            'db_connections_in_use{database="d"} 10\ndb_connections_max{database="d"} 10\n',
            ["10 of 10 database connections are in use (d)"],
        ),
        ('health_check_up{check="redis"} 0\n', ["the check redis fails"]),
        ("", []),
    ],
)
def test_what_is_wrong_with_these_metrics(page, sentences):
    assert problems(of_text(page)) == sentences


def test_what_the_sdk_lost_is_a_warning():
    findings = of_text('trackside_sdk_errors_total{where="labels"} 3\ntrackside_sdk_errors_total{where="push"} 0\n')
    assert [one.sentence for one in findings if one.severity is Severity.WARNING] == [
        "3 times the SDK could not measure something: labels"
    ]


@pytest.mark.parametrize(
    ("ready", "severity", "sentence"),
    [
        (Page(200, 0.1, {"status": "ready", "db": True}), Severity.FINE, "ready: db"),
        (
            Page(503, 0.1, {"status": "not_ready", "db": False, "errors": {"db": "refused"}}),
            Severity.PROBLEM,
            "db: refused",
        ),
        (
            Page(503, 0.1, {"errors": {"poller": "poller has never run: no beat in the 40 s since it was declared"}}),
            Severity.PROBLEM,
            "poller has never run: no beat in the 40 s since it was declared",
        ),
        (Page(200, 0.1, {"status": "ready", "errors": {"mail": "slow"}}), Severity.WARNING, "mail: slow"),
        (Page(503, 0.1, None), Severity.PROBLEM, "/health/ready answers 503"),
        (Page(503, 0.1, {"errors": "text"}), Severity.PROBLEM, "/health/ready answers 503"),
        (Page(404, 0.1), Severity.WARNING, "there is no /health/ready"),
        (None, Severity.WARNING, "there is no /health/ready"),
    ],
)
def test_what_readiness_says(ready, severity, sentence):
    (finding,) = of_health(ready, None)
    assert (finding.severity, finding.sentence) == (severity, sentence)


def test_a_server_tells_its_verdicts_on_jobs_in_their_order():
    verdicts = [
        {"severity": "down", "sentence": "high: 3 jobs wait and nobody consumes them.", "next_step": "Start a worker."},
        {"severity": "high", "sentence": "2 jobs run twice.", "next_step": "Look at both."},
        {"severity": "low", "sentence": "A look takes long.", "next_step": ""},
        {"severity": "calm", "sentence": "All is well.", "next_step": ""},
    ]
    found = list(of_jobs(Page(503, 0.1, {"status": "down", "verdicts": verdicts})))

    assert [(one.severity, one.sentence, one.advice) for one in found] == [
        (Severity.PROBLEM, "high: 3 jobs wait and nobody consumes them.", "Start a worker."),
        (Severity.PROBLEM, "2 jobs run twice.", "Look at both."),
        (Severity.WARNING, "A look takes long.", ""),
        (Severity.FINE, "All is well.", ""),
    ]


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        pytest.param(Page(401, 0.1), ["what is known of jobs is told to keys only"], id="a key is wanted"),
        pytest.param(Page(404, 0.1, {"error": "watches no jobs"}), [], id="no jobs"),
        pytest.param(Page(200, 0.1, {"verdicts": "none"}), [], id="no list"),
        pytest.param(Page(200, 0.1, {"verdicts": [1, {}, {"sentence": 3}]}), [], id="no sentences"),
        pytest.param(Page(200, 0.1, {"verdicts": [{"sentence": "New.", "severity": "odd"}]}), ["New."], id="later"),
        pytest.param(
            Page(200, 0.1, {"verdicts": [{"sentence": "Looking…", "severity": "calm", "kind": "looking"}]}),
            ["Looking…"],
            id="not looked at yet",
        ),
    ],
)
def test_what_a_server_says_of_jobs(page, expected):
    assert [one.sentence for one in of_jobs(page)] == expected
    assert all(one.severity is Severity.WARNING for one in of_jobs(page))


def test_a_server_tells_of_targets_rules_and_alerts():
    rules = {
        "data": {
            "groups": [
                {
                    "rules": [
                        {"name": "Bad", "health": "err", "lastError": "no such function"},
                        {
                            "name": "Slow",
                            "alerts": [
                                {"state": "firing", "annotations": {"summary": "p95 is 3 s"}},
                                {"state": "pending", "annotations": {}},
                            ],
                        },
                    ]
                }
            ]
        }
    }
    targets = {
        "data": {
            "activeTargets": [
                {"health": "down", "scrapeUrl": "http://a/metrics", "lastError": "refused"},
                {"health": "up", "scrapeUrl": "http://b/metrics"},
            ]
        }
    }
    assert problems(of_server(rules, targets)) == [
        "the target http://a/metrics is down: refused",
        "the rule Bad cannot be evaluated: no such function",
        "the alert Slow fires: p95 is 3 s",
    ]


@pytest.mark.parametrize(
    "answer", [None, [], {}, {"data": None}, {"data": {"groups": "no"}}, {"data": {"groups": [1]}}]
)
def test_an_answer_that_makes_no_sense_says_nothing(answer):
    assert list(of_server(answer if isinstance(answer, dict) else {}, answer)) == []
