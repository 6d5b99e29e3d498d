"""The configuration of scraping: Prometheus' own files, and what is refused."""

from pathlib import Path

import pytest

from trackside.exceptions import ConfigError
from trackside.server.schema import Section
from trackside.server.scrape.config import (
    DEFAULT_PROTOCOLS,
    GlobalConfig,
    ScrapeConfig,
    anchored,
    check_scrape_configs,
    with_defaults,
)
from trackside.server.yamlfile import parse_yaml, section_of

EVERYTHING = """
global:
  scrape_interval: 30s
  scrape_timeout: 5s
  evaluation_interval: 1m
  external_labels: {region: eu}
  sample_limit: 1000
scrape_configs:
  - job_name: everything
    scrape_interval: 1m
    scrape_timeout: 20s
    scrape_protocols: [PrometheusProto, OpenMetricsText1.0.0, PrometheusText0.0.4]
    fallback_scrape_protocol: PrometheusText0.0.4
    metrics_path: /prom
    scheme: https
    params: {module: [http_2xx, icmp]}
    honor_labels: true
    honor_timestamps: false
    track_timestamps_staleness: true
    enable_compression: false
    basic_auth: {username: me, password_file: secrets/password}
    tls_config: {ca_file: ca.pem, cert_file: cert.pem, key_file: key.pem, server_name: shop, insecure_skip_verify: true}
    follow_redirects: false
    enable_http2: false
    proxy_url: http://proxy:3128
    no_proxy: localhost
    http_headers: {X-Scope-OrgID: {values: [tenant], secrets: [hidden], files: [header]}}
    body_size_limit: 10MB
    sample_limit: 5000
    label_limit: 30
    label_name_length_limit: 50
    label_value_length_limit: 200
    target_limit: 10
    keep_dropped_targets: 5
    metric_name_validation_scheme: legacy
    static_configs: [{targets: ["a:1", "b:2"], labels: {env: prod}}]
    file_sd_configs: [{files: [targets/*.json, more.yml], refresh_interval: 1m}]
    http_sd_configs: [{url: "http://sd/targets", refresh_interval: 2m, authorization: {credentials: hidden}}]
    dns_sd_configs: [{names: [_shop._tcp.example], refresh_interval: 10s}, {names: [shop], type: A, port: 8000}]
    relabel_configs: [{source_labels: [__address__], target_label: instance}]
    metric_relabel_configs: [{action: labeldrop, regex: pod}]
  - job_name: little
    static_configs:
"""


class Root(Section):
    global_: GlobalConfig = GlobalConfig()
    scrape_configs: tuple[ScrapeConfig, ...] = ()


def read(text):
    return section_of(parse_yaml(text.replace("global:", "global_:"), "prometheus.yml"), Root)


def test_a_file_with_everything_is_read():
    root = read(EVERYTHING)
    everything, little = (with_defaults(config, root.global_) for config in root.scrape_configs)
    assert (everything.scrape_interval, everything.scrape_timeout, everything.sample_limit) == (60_000, 20_000, 5_000)
    assert everything.params == {"module": ("http_2xx", "icmp")}
    assert everything.body_size_limit == 10 << 20
    assert len(everything.dynamic_configs) == 4
    assert (little.scrape_interval, little.scrape_timeout, little.sample_limit) == (30_000, 5_000, 1_000)
    assert (little.body_size_limit, little.scrape_protocols) == (50 << 20, DEFAULT_PROTOCOLS)


def test_secrets_do_not_show():
    assert "hidden" not in repr(read(EVERYTHING))


def test_file_names_are_relative_to_the_configuration():
    config = anchored(read(EVERYTHING).scrape_configs[0], Path("/etc/trackside"))
    assert config.tls_config.ca_file == "/etc/trackside/ca.pem"
    assert config.basic_auth.password_file == "/etc/trackside/secrets/password"
    assert config.http_headers["X-Scope-OrgID"].files == ("/etc/trackside/header",)
    assert config.file_sd_configs[0].files == ("/etc/trackside/targets/*.json", "/etc/trackside/more.yml")
    assert anchored(ScrapeConfig(job_name="a"), Path("/etc")).tls_config.ca_file == ""


@pytest.mark.parametrize(
    ("global_interval", "timeout", "interval", "expected"),
    [
        pytest.param(15_000, 0, 0, (15_000, 10_000), id="both from global"),
        pytest.param(15_000, 0, 5_000, (5_000, 5_000), id="the timeout shrinks with the interval"),
        pytest.param(15_000, 3_000, 0, (15_000, 3_000), id="own timeout"),
    ],
)
def test_times_left_open_come_from_global(global_interval, timeout, interval, expected):
    config = ScrapeConfig.model_construct(**dict(ScrapeConfig(job_name="a"))).model_copy(
        update={"scrape_timeout": timeout, "scrape_interval": interval}
    )
    merged = with_defaults(config, GlobalConfig().model_copy(update={"scrape_interval": global_interval}))
    assert (merged.scrape_interval, merged.scrape_timeout) == expected


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        pytest.param("scrape_interval: 5s, scrape_timeout: 10s", "longer than scrape_interval", id="timeout"),
        pytest.param("scrape_interval: 5", "has no unit", id="no unit"),
        pytest.param("scrap_interval: 5s", "did you mean 'scrape_interval'", id="a typo"),
        pytest.param("scheme: ftp", "'http' or 'https'", id="scheme"),
        pytest.param("consul_sd_configs: []", "consul_sd_configs is not supported; targets may come from", id="consul"),
        pytest.param("oauth2: {}", "oauth2 is not supported", id="oauth2"),
        pytest.param("basic_auth: {username: a}, bearer_token: b", "at most one of", id="two ways to log in"),
        pytest.param("basic_auth: {password: a}", "one of username and username_file", id="nobody"),
        pytest.param("basic_auth: {username: a, password: b, password_file: c}", "one of password", id="two passwords"),
        pytest.param("authorization: {type: Basic, credentials: a}", "use basic_auth", id="basic by hand"),
        pytest.param("tls_config: {cert_file: a}", "together", id="a certificate without a key"),
        pytest.param("tls_config: {min_version: SSL3}", "expected TLS10", id="an old protocol"),
        pytest.param("static_configs: [{targets: ['http://a:1/metrics']}]", "expected host:port", id="a URL as target"),
        pytest.param("file_sd_configs: [{files: [targets.txt]}]", "expected a .json, .yml or .yaml", id="kind of file"),
        pytest.param("file_sd_configs: [{files: ['*/a.json']}]", "in its last part", id="a star in a folder"),
        pytest.param("file_sd_configs: [{files: []}]", "at least 1", id="no files"),
        pytest.param("dns_sd_configs: [{names: [a], type: A}]", "port is required", id="no port"),
        pytest.param("http_sd_configs: [{url: 'ftp://a'}]", "http:// or https://", id="no URL"),
        pytest.param("relabel_configs: [{action: dorp}]", "unknown action", id="action"),
        pytest.param("metric_relabel_configs: [{regex: '('}]", "not a regular expression", id="regex"),
        pytest.param("sample_limit: -1", "greater than or equal to 0", id="a negative limit"),
        pytest.param("body_size_limit: huge", "not a size", id="a size"),
        pytest.param("scrape_native_histograms: true", "native histograms are not scraped", id="native histograms"),
        pytest.param("scrape_protocols: [PrometheusProto]", "add a text protocol", id="protobuf alone"),
        pytest.param("http_headers: {Host: {values: [a]}}", "cannot be set here", id="a header of ours"),
        pytest.param("no_proxy: a", "only beside proxy_url", id="no proxy"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(job, reason):
    with pytest.raises(ConfigError) as caught:
        read(f"scrape_configs:\n- {{job_name: a, {job}}}\n")
    assert reason in str(caught.value)
    assert str(caught.value).startswith("prometheus.yml:2: scrape_configs[0]")


def test_a_job_needs_a_name_of_its_own():
    with pytest.raises(ConfigError, match="job_name"):
        read("scrape_configs: [{}]")
    with pytest.raises(ValueError, match="two scrape_configs have the job_name 'a'"):
        check_scrape_configs([ScrapeConfig(job_name="a"), ScrapeConfig(job_name="a")], GlobalConfig())


def test_a_timeout_longer_than_the_interval_of_global_is_refused():
    config = ScrapeConfig.model_validate({"job_name": "a", "scrape_timeout": "20s"})
    with pytest.raises(ValueError, match="job 'a': scrape_timeout"):
        check_scrape_configs([config], GlobalConfig())


@pytest.mark.parametrize("text", ["{scrape_interval: 0s}", "{scrape_timeout: 20s}", "{evaluation_interval: 0s}"])
def test_times_in_global_are_checked(text):
    with pytest.raises(ConfigError):
        read(f"global: {text}")
