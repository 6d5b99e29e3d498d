"""Fingerprints are Prometheus'."""

import pytest

from trackside.model.labels import Labels
from trackside.server.receivers.fingerprint import fingerprint


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param({}, "cbf29ce484222325", id="no labels"),
        pytest.param({"alertname": "A", "job": "j", "severity": "warning"}, "0ba17abc0f51c785", id="three"),
    ],
)
def test_fingerprint(labels, expected):
    assert fingerprint(Labels.of(labels)) == expected


def test_any_text_has_one():
    assert len(fingerprint(Labels.of({"ü": "🙂\ud800"}))) == 16
