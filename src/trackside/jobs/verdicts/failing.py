"""Kinds of jobs that fail, since when, and of what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trackside.jobs.verdicts.facts import Deploy, Facts, KindNow, Limits
from trackside.jobs.verdicts.verdict import MAX_EVIDENCE, Finding, Severity, Verdict, VerdictKind
from trackside.jobs.verdicts.words import counted, duration, share

_DEPLOY_MS = 1_800_000
"""A cause that is first seen so soon after a deploy came with it."""


def failing_findings(facts: Facts, limits: Limits, now_ms: int) -> Iterator[Finding]:
    for kind in facts.kinds:
        if kind.failed and kind.ended >= limits.failing_jobs and kind.failed / kind.ended > limits.failing_share:
            severity = Severity.HIGH if 2 * kind.failed >= kind.ended else Severity.MEDIUM
            text = f"is failing {share(kind.failed, kind.ended)}"
            yield _failing(kind, facts.deploys, now_ms, severity, (text, f"{kind.failed} of {kind.ended} jobs"))
        elif kind.failed and kind.failed == kind.ended:
            text = "failed" if kind.ended == 1 else f"failed all {kind.ended} times"
            yield _failing(kind, facts.deploys, now_ms, Severity.MEDIUM, (text, counted(kind.ended, "job")))
        elif kind.attempts >= limits.failing_jobs and kind.failed_attempts / kind.attempts > limits.retrying_share:
            text = f"needs many retries: {share(kind.failed_attempts, kind.attempts)} of its attempts fail"
            counts = f"{kind.failed_attempts} of {kind.attempts} attempts"
            yield _failing(kind, facts.deploys, now_ms, Severity.LOW, (text, counts))


def _failing(
    kind: KindNow, deploys: Sequence[Deploy], now_ms: int, severity: Severity, words: tuple[str, str]
) -> Finding:
    what, counts = words
    top = kind.causes[0] if kind.causes else None
    since, of_what = "", ""
    if top is not None:
        since = _since(min(cause.first_ms for cause in kind.causes), deploys, now_ms)
        more = len(kind.causes) - 1
        of_what = f" {'Most of it' if more else 'The cause'}: {top.text}" + (
            f" ({counted(more, 'other cause', 'other causes')})." if more else "."
        )
    failed = kind.failed or kind.failed_attempts
    name = kind.kind or "A kind that is not shown"
    return Finding(
        Verdict(
            VerdictKind.FAILING,
            severity,
            f"failing/{kind.source}/{kind.kind}",
            f"{name} {what}{since}: {counts} in the last {duration(kind.window_ms / 1000)}.{of_what}",
            "Read the newest traceback; when the cause is mended, retry the failed ones.",
            kind.source,
            top.newest.queue if top is not None else "",
            tuple(dict.fromkeys(cause.newest.id for cause in kind.causes))[:MAX_EVIDENCE],
            tuple(dict.fromkeys(cause.newest.worker for cause in kind.causes if cause.newest.worker))[:MAX_EVIDENCE],
            {"failed": float(failed), "ended": float(kind.ended), "causes": float(len(kind.causes))},
        )
    )


def _since(first_ms: int, deploys: Sequence[Deploy], now_ms: int) -> str:
    for deploy in deploys:
        if deploy.at_ms <= first_ms <= deploy.at_ms + _DEPLOY_MS:
            return f" since the deploy of {deploy.version} {duration((now_ms - deploy.at_ms) / 1000)} ago"
    return f" (first seen {duration((now_ms - first_ms) / 1000)} ago)"
