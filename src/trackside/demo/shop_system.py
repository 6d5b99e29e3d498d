"""The first system of the demo: a shop with a worker, and a payment provider that fails."""

from __future__ import annotations

from trackside.demo.system import Addresses, Expectation, Service, System, Traffic
from trackside.demo.traffic import HttpTraffic, Request

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

_MIX = (
    Request(0.22, "GET", "/"),
    Request(0.24, "GET", "/products"),
    Request(0.24, "GET", "/products/sku-{}"),
    Request(0.08, "GET", "/search?q=sku-{}"),
    Request(0.16, "POST", "/checkout?payment=card"),
    Request(0.02, "POST", "/checkout?payment=invoice"),
    Request(0.02, "GET", "/products/sku-9{}"),
    Request(0.02, "GET", "/wp-login.php?x={}"),
)

_LATENCY = 'histogram_quantile({}, sum by (le) (rate(http_request_duration_seconds_bucket{{job="shop"}}[1m])))'

_EXPECTED = (
    Expectation("requests per second", 'sum(rate(http_requests_total{job="shop"}[1m]))', 1, 100),
    Expectation(
        "error ratio since the start",
        'sum(increase(http_requests_total{job="shop",status=~"5.."}[5m]))'
        ' / sum(increase(http_requests_total{job="shop"}[5m]))',
        0.001,
        0.5,
    ),
    Expectation("p50 latency, s", _LATENCY.format(0.5), 0.001, 1),
    Expectation("p95 latency, s", _LATENCY.format(0.95), 0.01, 3),
    Expectation("p99 latency, s", _LATENCY.format(0.99), 0.05, 6),
    Expectation("requests in flight", 'sum(http_requests_in_progress{job="shop"})', 0, 100),
    Expectation("routes seen", 'count(count by (path) (http_requests_total{job="shop"}))', 6, 12),
    Expectation("orders packed per second", "sum(rate(worker_orders_packed_total[1m]))", 0.1, 50),
    Expectation("targets up", "sum(up)", 3, 3),
)


def _traffic(addresses: Addresses) -> Traffic:
    return HttpTraffic(f"http://{addresses['shop']}", _MIX)


SYSTEM = System(
    name="shop",
    parts="a shop, a worker",
    story="Payments fail in 15 seconds for 20.",
    services=(
        Service(
            "shop", 9491, ("-m", "uvicorn", "trackside.demo.shop:app", "--port", "{port}", "--log-level", "warning")
        ),
        Service("worker", 9492, ("-m", "trackside.demo.worker", "--port", "{port}", "--shop", "http://{shop}")),
    ),
    configuration=_CONFIG,
    files={"rules.yml": _RULES},
    traffic=_traffic,
    expected=_EXPECTED,
    links={"the shop's metrics": "http://{shop}/metrics"},
)
