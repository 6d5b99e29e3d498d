"""`trackside doctor`: what is wrong with a running application or server, and what to do about it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import click
import httpx

from trackside.cli.diagnosis import Finding, Page, Severity, of_health, of_jobs, of_metrics, of_server
from trackside.exceptions import ParseError, TracksideError
from trackside.wire import exposition, openmetrics

FOUND_A_PROBLEM = 1
_MARKS = {Severity.FINE: ("✓", "green"), Severity.WARNING: ("!", "yellow"), Severity.PROBLEM: ("✗", "red")}


@click.command()
@click.argument("url")
@click.option("--key", envvar="TRACKSIDE_KEY", default="", metavar="KEY", help="For what answers to keys only.")
@click.option("--metrics", "metrics_path", default="/metrics", show_default=True, metavar="PATH")
@click.option("--health", "health_path", default="/health", show_default=True, metavar="PATH")
@click.option("--timeout", "timeout_s", default=10.0, show_default=True, metavar="SECONDS")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for machines.")
def doctor(url: str, key: str, metrics_path: str, health_path: str, timeout_s: float, as_json: bool) -> None:
    """Look at a running application, or at a Trackside server, and say what is wrong with it.

    Of a server also what is wrong with the jobs it watches, its targets and its rules, and which alerts fire.

    Exits with 0 when all is well or there are only warnings, 1 when there is a problem, 2 when nobody answers.

    \b
    Examples:
      trackside doctor http://127.0.0.1:8000
      trackside doctor https://shop.example.com --health /api/v1/health
      trackside doctor http://127.0.0.1:9490 --key "$TRACKSIDE_KEY" --json
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise click.BadParameter(f"an address such as http://127.0.0.1:8000; got {url!r}", param_hint="URL")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=timeout_s) as client:
        asked = _Asked(client)
        findings = list(_once(_examined(asked, metrics_path, health_path)))
    findings.sort(key=lambda finding: -finding.severity)
    worst = max(finding.severity for finding in findings)
    if as_json:
        shown = [
            {"severity": one.severity.name.lower(), "sentence": one.sentence, "advice": one.advice} for one in findings
        ]
        click.echo(json.dumps({"url": url, "healthy": worst < Severity.PROBLEM, "findings": shown}))
    else:
        for finding in findings:
            mark, color = _MARKS[finding.severity]
            click.echo(f"{click.style(mark, fg=color, bold=True)} {finding.sentence}")
            if finding.advice:
                click.echo(f"  {finding.advice}")
    if worst is Severity.PROBLEM:
        sys.exit(FOUND_A_PROBLEM)


@dataclass(slots=True)
class _Asked:
    """One service. Raises when it does not answer at all: then there is nothing else to be told."""

    client: httpx.Client

    def get(self, path: str, accept: str = "application/json") -> tuple[Page, bytes]:
        began_s = perf_counter()
        try:
            answer = self.client.get(path, headers={"accept": accept})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TracksideError(
                f"{self.client.base_url} does not answer: {error or type(error).__name__}. Is it running, and is this "
                "its address?"
            ) from error
        took_s = perf_counter() - began_s
        try:
            body: Any = answer.json()
        except ValueError:
            body = None
        return Page(answer.status_code, took_s, body), answer.content


def _examined(asked: _Asked, metrics_path: str, health_path: str) -> Iterator[Finding]:
    ready, _ = asked.get(f"{health_path}/ready")
    live, _ = asked.get(f"{health_path}/live")
    yield from of_health(ready, live)
    page, body = asked.get(metrics_path, "text/plain;version=0.0.4")
    yield from _of_metrics(page, body, metrics_path)
    rules, _ = asked.get("/api/v1/rules")
    if rules.status == 200 and isinstance(rules.json, dict):
        jobs, _ = asked.get("/admin/health")
        yield from of_jobs(jobs)
        targets, _ = asked.get("/api/v1/targets?state=active")
        yield from of_server(rules.json, targets.json)


def _of_metrics(page: Page, body: bytes, path: str) -> Iterator[Finding]:
    if page.status in (401, 403):
        yield Finding(Severity.WARNING, f"{path} wants a key", "Give --key, or TRACKSIDE_KEY")
        return
    if page.status != 200:
        advice = "Metrics are off, or at another path: see ENABLE_PROMETHEUS_METRICS, and --metrics"
        yield Finding(Severity.WARNING, f"{path} answers {page.status}", advice)
        return
    try:
        read = openmetrics.parse if body.rstrip().endswith(b"# EOF") else exposition.parse
        samples = list(read(body).samples())
    except ParseError as error:
        yield Finding(Severity.PROBLEM, f"{path} is no page of metrics: {error}", "No server can scrape it")
        return
    yield from of_metrics(samples, page.took_s)


def _once(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Without what was said before in other words: health and metrics both know of a poller that never ran."""
    known: set[str] = set()
    for finding in findings:
        subject = finding.sentence.partition(":")[0]
        if subject not in known:
            known.add(subject)
            yield finding
