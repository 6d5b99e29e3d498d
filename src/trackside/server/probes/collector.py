"""Probes as metrics, under the blackbox exporter's names; what it does not know, under ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b

from trackside.model.labels import Labels
from trackside.model.metrics import MetricFamily, MetricType, Sample
from trackside.server.probes.doubt import Judgement
from trackside.server.probes.result import DnsFacts, HttpFacts, Kind, ProbeResult, TlsFacts
from trackside.server.probes.state import Condition, ProbeState

HTTP_PHASES = ("resolve", "connect", "tls", "processing", "transfer")
DNS_PHASES = ("resolve", "connect", "request")
Values = Iterable[tuple[Mapping[str, str], float]]


def probe_families(result: ProbeResult) -> list[MetricFamily]:
    """What one attempt found out."""
    families = [
        _gauge("probe_success", "Whether the probe succeeded.", result.success),
        _gauge("probe_duration_seconds", "How long the probe took.", result.duration_s),
        _gauge("probe_dns_lookup_time_seconds", "How long it took to resolve the host's name.", result.lookup_s),
        _gauge("probe_ip_protocol", "IP version that was used: 4 or 6; 0 for none.", result.ip_version),
        _gauge("probe_failed_due_to_regex", "Whether what came did not match an expression.", result.by_regex),
        _family(
            "trackside_probe_reason_info",
            "Why the probe failed; none when it did not.",
            [({"reason": result.reason.value}, 1)],
        ),
    ]
    if result.ip:
        families.append(_gauge("probe_ip_addr_hash", "Hash of the address: it changes with it.", _hash(result.ip)))
    if result.tls is not None:
        families += _tls(result.tls)
    match result.kind:
        case Kind.HTTP | Kind.WEBSOCKET:
            families += _http(result, result.http or HttpFacts())
        case Kind.DNS:
            families += _dns(result, result.dns or DnsFacts())
    return families


def state_families(state: ProbeState, probed_ms: int | None) -> list[MetricFamily]:
    """What is concluded from the attempts so far."""
    families = [
        _family(
            "trackside_probe_state",
            "Which of its states the check is in, retries, flapping and maintenance considered.",
            [({"state": one.value}, one is state.condition) for one in Condition],
        ),
        _gauge("trackside_probe_failed_attempts", "Attempts that failed in a row.", state.failures),
    ]
    if probed_ms is not None:
        families.append(
            _gauge("trackside_probe_last_attempt_timestamp_seconds", "When it was last asked.", probed_ms / 1000)
        )
    return families


def doubt_families(judgement: Judgement) -> list[MetricFamily]:
    """Whether it is rather this machine that has lost its network."""
    return [
        _gauge(
            "trackside_probes_doubtful",
            "Whether most probes fail for a reason that may lie with this machine.",
            judgement.doubtful,
        ),
        _gauge("trackside_probes_failing", "Checks whose last attempt failed.", judgement.failing),
        _gauge("trackside_probes_asked", "Checks that were asked lately.", judgement.asked),
    ]


def history_family(failures: int) -> MetricFamily:
    name = "trackside_probe_history_failures_total"
    return MetricFamily(
        name, MetricType.COUNTER, "States of checks that could not be kept.", (Sample(name, Labels(), float(failures)),)
    )


def _http(result: ProbeResult, facts: HttpFacts) -> Iterator[MetricFamily]:
    yield _gauge("probe_http_status_code", "Status of the last answer; 0 for none.", facts.status)
    yield _gauge("probe_http_version", "Version of HTTP in the answer.", facts.version)
    yield _gauge("probe_http_redirects", "Redirects that were followed.", facts.redirects)
    yield _gauge("probe_http_ssl", "Whether the last answer came over TLS.", facts.over_tls)
    yield _gauge(
        "probe_http_content_length", "Length of the body as the server says; -1 for none.", facts.content_length
    )
    yield _gauge("probe_http_uncompressed_body_length", "Bytes of the body that were read.", facts.body_bytes)
    if facts.last_modified_s is not None:
        yield _gauge(
            "probe_http_last_modified_timestamp_seconds", "When the page last changed, it says.", facts.last_modified_s
        )
    yield _phases("probe_http_duration_seconds", "How long each phase of the request took.", HTTP_PHASES, result)


def _tls(facts: TlsFacts) -> Iterator[MetricFamily]:
    if facts.earliest_expiry_s is not None:
        yield _gauge(
            "probe_ssl_earliest_cert_expiry", "When the first of the certificates shown ends.", facts.earliest_expiry_s
        )
    if facts.verified_expiry_s is not None:
        yield _gauge(
            "probe_ssl_last_chain_expiry_timestamp_seconds",
            "When the chain of certificates that is trusted ends.",
            facts.verified_expiry_s,
        )
    if facts.about:
        yield _family("probe_ssl_last_chain_info", "The server's certificate.", [(facts.about, 1)])
    if facts.version:
        yield _family("probe_tls_version_info", "Version of TLS in use.", [({"version": facts.version}, 1)])
        yield _family("probe_tls_cipher_info", "Cipher in use.", [({"cipher": facts.cipher}, 1)])


def _dns(result: ProbeResult, facts: DnsFacts) -> Iterator[MetricFamily]:
    yield _gauge("probe_dns_query_succeeded", "Whether the name server answered.", facts.answered)
    yield _gauge("probe_dns_answer_rrs", "Records in the answer section.", facts.answers)
    yield _gauge("probe_dns_authority_rrs", "Records in the authority section.", facts.authorities)
    yield _gauge("probe_dns_additional_rrs", "Records in the additional section.", facts.additionals)
    if facts.serial is not None:
        yield _gauge("probe_dns_serial", "Serial number of the zone.", facts.serial)
    yield _phases("probe_dns_duration_seconds", "How long each phase of the query took.", DNS_PHASES, result)


def _phases(name: str, text: str, phases: Sequence[str], result: ProbeResult) -> MetricFamily:
    return _family(name, text, [({"phase": phase}, result.phases_s.get(phase, 0.0)) for phase in phases])


def _gauge(name: str, text: str, value: float) -> MetricFamily:
    return _family(name, text, [({}, value)])


def _family(name: str, text: str, values: Values) -> MetricFamily:
    samples = tuple(Sample(name, Labels.of(labels), float(value)) for labels, value in values)
    return MetricFamily(name, MetricType.GAUGE, text, samples)


def _hash(ip: str) -> int:
    # Four bytes: exact as a float.
    return int.from_bytes(blake2b(ip.encode(), digest_size=4).digest(), "big")
