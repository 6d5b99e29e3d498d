"""From reports of hooks to rows of the ledger."""

from trackside.jobs.ledger.runs import Outcome, run_of_report
from trackside.model.jobs import JobReport

TRACE = "Traceback (most recent call last):\n  connect(password='hunter2')\nOSError: redis://:hunter2@cache"


def test_a_report_of_anybodys_hook_loses_its_secrets():
    run = run_of_report(JobReport("pictures", "1", "resize", outcome="failed", traceback=TRACE), 1_800_000_000_000)

    assert (run.outcome, run.error) == (Outcome.FAILED, "OSError: redis://:[Filtered]@cache")
    assert run.traceback == TRACE.replace("hunter2", "[Filtered]")


def test_what_lost_them_before_stays_as_it_is():
    first = run_of_report(JobReport("pictures", "1", "resize", outcome="failed", traceback=TRACE), 1_800_000_000_000)
    report = JobReport("pictures", "1", "resize", outcome="failed", error=first.error, traceback=first.traceback)

    again = run_of_report(report, 1_800_000_000_000)
    assert (again.error, again.traceback) == (first.error, first.traceback)
