import pytest

from trackside.server.probes.collector import doubt_families, probe_families, state_families
from trackside.server.probes.doubt import Judgement
from trackside.server.probes.result import DnsFacts, HttpFacts, Kind, ProbeResult, Reason, TlsFacts
from trackside.server.probes.state import Condition, ProbeState
from trackside.wire import exposition


def lines(families):
    return [line for line in exposition.render(families).decode().splitlines() if not line.startswith("#")]


def test_an_https_page_under_the_names_of_the_blackbox_exporter():
    result = ProbeResult(
        Kind.HTTP,
        True,
        0.5,
        lookup_s=0.01,
        phases_s={"resolve": 0.01, "connect": 0.02, "tls": 0.03, "processing": 0.2, "transfer": 0.1},
        ip="192.0.2.1",
        tls=TlsFacts("TLS 1.3", "AES", 2_000_000_000.0, 2_000_000_001.0),
        http=HttpFacts(200, 1.1, 2, True, 5, 5, 1_400_000_000.0),
    )

    found = lines(probe_families(result))

    assert [line for line in found if "ip_addr_hash" not in line] == [
        "probe_success 1",
        "probe_duration_seconds 0.5",
        "probe_dns_lookup_time_seconds 0.01",
        "probe_ip_protocol 4",
        "probe_failed_due_to_regex 0",
        'trackside_probe_reason_info{reason="none"} 1',
        "probe_ssl_earliest_cert_expiry 2000000000",
        "probe_ssl_last_chain_expiry_timestamp_seconds 2000000001",
        'probe_tls_version_info{version="TLS 1.3"} 1',
        'probe_tls_cipher_info{cipher="AES"} 1',
        "probe_http_status_code 200",
        "probe_http_version 1.1",
        "probe_http_redirects 2",
        "probe_http_ssl 1",
        "probe_http_content_length 5",
        "probe_http_uncompressed_body_length 5",
        "probe_http_last_modified_timestamp_seconds 1400000000",
        'probe_http_duration_seconds{phase="resolve"} 0.01',
        'probe_http_duration_seconds{phase="connect"} 0.02',
        'probe_http_duration_seconds{phase="tls"} 0.03',
        'probe_http_duration_seconds{phase="processing"} 0.2',
        'probe_http_duration_seconds{phase="transfer"} 0.1',
    ]


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("reason", Reason)
def test_every_kind_and_reason_is_an_exposition_that_can_be_read(kind, reason):
    result = ProbeResult(kind, reason is Reason.NONE, 0.1, reason, "hostile\nwords", by_regex=True)

    body = exposition.render(probe_families(result))

    assert exposition.parse(body)
    assert b"hostile" not in body
    assert f'reason="{reason.value}"'.encode() in body


def test_a_name_server():
    result = ProbeResult(Kind.DNS, True, 0.1, phases_s={"request": 0.05}, dns=DnsFacts(True, 0, 2, 1, 0, 7))

    found = lines(probe_families(result))

    assert {"probe_dns_query_succeeded 1", "probe_dns_answer_rrs 2", "probe_dns_serial 7"} <= set(found)
    assert 'probe_dns_duration_seconds{phase="request"} 0.05' in found


def test_the_state_is_one_of_all_and_doubt_has_a_family():
    found = lines(state_families(ProbeState(Condition.FLAPPING, failures=3), 5_000))

    assert [line for line in found if line.endswith("} 1")] == ['trackside_probe_state{state="flapping"} 1']
    assert len(found) == 5 + 2
    assert "trackside_probes_doubtful 1" in lines(doubt_families(Judgement(True, "why", 3, 4)))
