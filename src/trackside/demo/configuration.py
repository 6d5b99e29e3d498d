"""The demo's configuration files, with the addresses of this run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_CONFIG = """\
# The configuration of the demo. Times are short, so that a visitor need not wait: in earnest, scrape every 15 s.
global:
  scrape_interval: 2s
  scrape_timeout: 1s
  evaluation_interval: 2s

scrape_configs:
  - job_name: shop
    static_configs:
      - targets: ["{shop}"]
  - job_name: worker
    static_configs:
      - targets: ["{worker}"]

rule_files:
  - rules.yml

route:
  receiver: demo
  group_by: [alertname]
  group_wait: 2s
  group_interval: 8s
  repeat_interval: 1h

receivers:
  - name: demo
    webhook_configs:
      - url: http://{receiver}/notifications

storage:
  retention: 1d
"""

_RULES = """\
groups:
  - name: requests
    rules:
      - record: job:http_requests:rate1m
        expr: sum by (job) (rate(http_requests_total[1m]))

      - alert: RequestsFailing
        expr: |
          sum by (job, path) (rate(http_requests_total{status=~"5.."}[20s]))
            / sum by (job, path) (rate(http_requests_total[20s]))
          > 0.2
        for: 6s
        labels:
          severity: critical
        annotations:
          summary: '{{ $labels.job }}: {{ $value | humanizePercentage }} of the requests to {{ $labels.path }} fail'

      - alert: RequestsSlow
        expr: |
          histogram_quantile(0.5, sum by (job, path, le) (rate(http_request_duration_seconds_bucket[1m]))) > 2
        for: 30s
        labels:
          severity: warning
        annotations:
          summary: '{{ $labels.job }}: half of the requests to {{ $labels.path }} take {{ $value | humanizeDuration }}'

  - name: targets
    rules:
      - alert: TargetDown
        expr: up == 0
        for: 10s
        labels:
          severity: critical
        annotations:
          summary: '{{ $labels.job }} at {{ $labels.instance }} does not answer'
"""


@dataclass(frozen=True, slots=True)
class Addresses:
    """`host:port` of each process of the demo."""

    server: str
    shop: str
    worker: str
    receiver: str


def write_configuration(folder: Path, addresses: Addresses) -> Path:
    """Write trackside.yml and rules.yml; the path of the former."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rules.yml").write_text(_RULES)
    config = folder / "trackside.yml"
    config.write_text(_CONFIG.format(shop=addresses.shop, worker=addresses.worker, receiver=addresses.receiver))
    return config
